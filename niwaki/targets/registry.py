"""The targets that configuration files can name."""

from niwaki.core.registry import Record, Registry

TARGETS = Registry(
    "targets",
    (
        Record(
            "onnxruntime_cpu",
            "ONNX Runtime on this processor, measured against an interleaved reference model",
            "niwaki.targets.onnxruntime_cpu:OnnxRuntimeCpu",
        ),
        Record(
            "remote_onnxruntime",
            "ONNX Runtime on another machine's processor, over ssh, measured in the same way",
            "niwaki.targets.remote.target:RemoteOnnxRuntime",
        ),
    ),
)
