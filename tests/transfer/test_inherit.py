import torch

from recontour.network import Model
from recontour.transfer.inherit import inherit


def test_organs_are_matched_by_name_not_by_place(model: Model) -> None:
    network, fresh = inherit(model, ("Lens_L", "Brainstem"))
    assert fresh == ()
    ct_N1HW = torch.randn(1, 1, 33, 33)
    parent = model.network.eval()(ct_N1HW)
    assert torch.allclose(network.eval()(ct_N1HW), parent[:, [1, 0]], atol=1e-6)


def test_a_new_organ_starts_fresh_and_the_others_do_not_notice(model: Model) -> None:
    network, fresh = inherit(model, ("Brainstem", "Larynx"))
    assert fresh == ("Larynx",)
    ct_N1HW = torch.randn(1, 1, 33, 33)
    child = network.eval()(ct_N1HW)
    assert torch.allclose(child[:, 0], model.network.eval()(ct_N1HW)[:, 0], atol=1e-6)


def test_the_parent_stays_as_it_was(model: Model) -> None:
    before = {name: tensor.clone() for name, tensor in model.network.state_dict().items()}
    network, _ = inherit(model, ("Brainstem",))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1.0)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.network.state_dict().items())
