"""A choice that nothing reads is refused, wherever it is added."""

import pytest
from hydra import compose, initialize_config_dir
from tests.runs import ROOT, configuration

from dyadic.commands.run import register_run_name
from dyadic.commands.unread import refuse_unread
from dyadic.errors import UserError


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        ("+trainer.limit_train_batches=0.1", "trainer.limit_train_batches is read by nothing; tr"),
        ("+model_size=3", "model_size is read by nothing; a run has dataset"),
        ("+method.epochs=3", "method.epochs is read by nothing; method has name"),
        ("+quantizer.bias=3", "quantizer.bias is read by nothing; quantizer has weight"),
        ("+trainer.baseline.steps=3", "BaselineRecipe takes epochs"),
        ("+trainer.optimizer.learning_rate=3", "SGD takes params, lr"),
        ("+schedule.epochs=3", "GrowingPartition takes portions"),
        ("+schedule.partition.bits=3", "largest_first takes w, values"),
        ("+dataset.augment=true", "dataset.augment is read by nothing; InMemory takes name"),
        ("+dataset.source.noize=1", "Synthetic takes classes"),
        ("+model.depth=3", "resnet8 takes classes, channels, width"),
        ("+start.weights=x.pt", "start.weights is read by nothing; Shipped takes folder"),
    ],
)
def test_what_nothing_reads_is_named_with_what_is_read(tmp_path, choice, says):
    with pytest.raises(UserError, match=says) as error:
        refuse_unread(configuration(tmp_path, "method=inq", choice))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "choices",
    [
        ["method=inq"],
        ["+allocation.overrides.conv1=8"],
        ["method=hawq_v3", "allocation=ilp", "sensitivity=hessian"],
        ["+schedule.prune=0.2", "method=inq"],
        ["+mine=3", "method=inq", "schedule.after=${mine}"],
        ["logger=tensorboard", "+logger.anything=3"],
        ["method=tsq"],
        ["method=binary_relax"],
        ["method=log_training", "distillation=float"],
        ["start=torchvision"],
    ],
)
def test_what_is_read_passes(tmp_path, choices):
    refuse_unread(configuration(tmp_path, *choices))


@pytest.mark.parametrize(
    "arguments",
    ["model.arguments={width: 3}", "+model.arguments={width: 3}", "+model.arguments.width=3"],
)
def test_what_a_user_brings_is_read(arguments):
    choices = ["model=own", "model.factory=mynet:Net", arguments]
    choices += ["dataset=folder", "dataset.folder=x", "start=own", "start.weights=y.pt"]
    register_run_name()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose("config", choices)
    refuse_unread(cfg)
    assert cfg.model.arguments == {"width": 3}
