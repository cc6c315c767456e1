"""MLServer's runtime of an ONNX file, in an environment with mlserver and onnxruntime."""

import onnxruntime
from mlserver import MLModel, types
from mlserver.codecs import NumpyCodec


class Onnx(MLModel):
    async def load(self):
        self.session = onnxruntime.InferenceSession(self.settings.parameters.uri)
        self.inputs = [self.describe(each) for each in self.session.get_inputs()]
        self.outputs = [self.describe(each) for each in self.session.get_outputs()]
        return True

    def describe(self, tensor):
        shape = [-1 if isinstance(axis, str) else axis for axis in tensor.shape]
        return types.MetadataTensor(name=tensor.name, datatype="FP32", shape=shape)

    async def predict(self, payload):
        given = {each.name: NumpyCodec.decode_input(each) for each in payload.inputs}
        names = [each.name for each in self.session.get_outputs()]
        results = self.session.run(names, given)
        outputs = [NumpyCodec.encode_output(*each) for each in zip(names, results, strict=True)]
        return types.InferenceResponse(model_name=self.name, outputs=outputs)
