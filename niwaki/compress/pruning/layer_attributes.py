"""The sizes that torch's own layers remember about their parameters."""

from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

_N_GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}


def refresh_sizes(layer: nn.Module) -> None:
    """Set a layer's `in_channels`, `num_features` and so on from the shapes of its parameters.

    Numbers that its code computes with, such as `groups`, are changed by the plan itself.
    """
    if isinstance(layer, _ConvTransposeNd):
        layer.in_channels = layer.weight.shape[0]
        layer.out_channels = layer.weight.shape[1] * layer.groups
    elif isinstance(layer, _ConvNd):
        layer.out_channels = layer.weight.shape[0]
        layer.in_channels = layer.weight.shape[1] * layer.groups
    elif isinstance(layer, nn.Linear):
        layer.out_features, layer.in_features = layer.weight.shape
    elif isinstance(layer, nn.Bilinear):
        layer.out_features, layer.in1_features, layer.in2_features = layer.weight.shape
    elif isinstance(layer, _NormBase):
        for tensor in (layer.weight, layer.running_mean):
            if tensor is not None:
                layer.num_features = len(tensor)
    elif isinstance(layer, nn.GroupNorm):
        layer.num_channels = len(layer.weight)
    elif isinstance(layer, nn.MultiheadAttention) and layer._qkv_same_embed_dim:
        layer.kdim = layer.vdim = layer.in_proj_weight.shape[1]
    elif isinstance(layer, nn.PReLU):
        layer.num_parameters = len(layer.weight)
    elif isinstance(layer, nn.RNNBase):
        n_rows, layer.input_size = layer.get_parameter("weight_ih_l0").shape
        layer.hidden_size = n_rows // _N_GATES[layer.mode]
        if layer.proj_size:
            layer.proj_size = len(layer.get_parameter("weight_hr_l0"))
    elif isinstance(layer, nn.RNNCellBase):
        layer.input_size = layer.get_parameter("weight_ih").shape[1]
        layer.hidden_size = layer.get_parameter("weight_hh").shape[1]
    elif isinstance(layer, nn.Embedding):
        layer.embedding_dim = layer.weight.shape[1]
