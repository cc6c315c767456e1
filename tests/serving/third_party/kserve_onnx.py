"""KServe around an ONNX file: kserve_onnx.py FILE PORT, in an environment with kserve and onnxruntime."""

import sys

import onnxruntime
from kserve import InferOutput, InferResponse, Model, ModelServer


class Onnx(Model):
    def __init__(self, name, file):
        super().__init__(name)
        self.session = onnxruntime.InferenceSession(file)
        self.ready = True

    async def get_input_types(self):
        return [self.describe(each) for each in self.session.get_inputs()]

    async def get_output_types(self):
        return [self.describe(each) for each in self.session.get_outputs()]

    def describe(self, tensor):
        shape = [-1 if isinstance(axis, str) else axis for axis in tensor.shape]
        return {"name": tensor.name, "datatype": "FP32", "shape": shape}

    async def predict(self, payload, headers=None, response_headers=None):
        given = {each.name: each.as_numpy() for each in payload.inputs}
        outputs = []
        for described, result in zip(self.session.get_outputs(), self.session.run(None, given), strict=True):
            output = InferOutput(described.name, list(result.shape), "FP32")
            output.set_data_from_numpy(result, binary_data=payload.use_binary_outputs)
            outputs.append(output)
        return InferResponse(
            payload.id or "x", self.name, outputs, use_binary_outputs=payload.use_binary_outputs
        )


if __name__ == "__main__":
    ModelServer(http_port=int(sys.argv[2]), enable_grpc=False, workers=1).start(
        [Onnx("streets", sys.argv[1])]
    )
