"""Caffe2 models at full width with random weights; runs under the Python that has Caffe2.

    $NXCONVERT_CAFFE2_PYTHON caffe2_models.py caffe2-resnet50 FOLDER

The architectures are those of the papers: ResNet-50 as Caffe2 itself builds it, and AlexNet in one group.
"""

import sys
from pathlib import Path

import numpy as np
from caffe2.python import brew, core, model_helper, workspace
from caffe2.python.models import resnet
from caffe2.python.predictor import mobile_exporter


def resnet50(model):
    return resnet.create_resnet50(model, "data", 3, 1000, is_test=True, no_loss=True)


def alexnet(model):
    blob = "data"
    layers = (
        (3, 96, {"kernel": 11, "stride": 4, "pad": 2}, True, True),
        (96, 256, {"kernel": 5, "pad": 2}, True, True),
        (256, 384, {"kernel": 3, "pad": 1}, False, False),
        (384, 384, {"kernel": 3, "pad": 1}, False, False),
        (384, 256, {"kernel": 3, "pad": 1}, False, True),
    )
    for i, (inside, outside, window, normalized, pooled) in enumerate(layers, 1):
        blob = brew.conv(model, blob, f"conv{i}", inside, outside, **window)
        blob = brew.relu(model, blob, f"relu{i}")
        if normalized:
            blob = model.net.LRN(blob, f"norm{i}", size=5, alpha=1e-4, beta=0.75)
        if pooled:
            blob = brew.max_pool(model, blob, f"pool{i}", kernel=3, stride=2)
    for i, (inside, outside) in enumerate(((256 * 6 * 6, 4096), (4096, 4096), (4096, 1000)), 6):
        blob = brew.fc(model, blob, f"fc{i}", inside, outside)
        if i < 8:
            blob = brew.relu(model, blob, f"relu{i}")
    return brew.softmax(model, blob, "softmax")


def main(name, folder):
    np.random.seed(0)
    model = model_helper.ModelHelper(name=name, init_params=True)
    {"caffe2-resnet50": resnet50, "caffe2-alexnet": alexnet}[name](model)
    workspace.RunNetOnce(model.param_init_net)
    init, predict = mobile_exporter.Export(workspace, model.net, model.params + model.GetComputedParams())
    kept = [op for op in init.op if op.output[0] != "data"]
    del init.op[:]
    init.op.extend(kept)
    Path(folder).mkdir(parents=True, exist_ok=True)
    for net, file in ((init, "init_net.pb"), (predict, "predict_net.pb")):
        net.name = file[: -len(".pb")]
        Path(folder, file).write_bytes(net.SerializeToString())


if __name__ == "__main__":
    core.GlobalInit(["caffe2", "--caffe2_log_level=2"])
    main(*sys.argv[1:])
