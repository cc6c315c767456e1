import numpy as np

from tessella.pictures.channels import channel_picture


def test_low_is_dark_and_high_is_bright():
    channel = np.array([[-1.0, 0.0, 0.5, 1.0, 9.0]])
    picture = channel_picture(channel, 0.0, 1.0, (4, 10))
    assert picture.shape == (4, 10, 3)
    brightness = picture[0, ::2].astype(int).sum(1)
    assert brightness[0] == brightness[1] < brightness[2] < brightness[3] == brightness[4]
    assert (picture[:, 0] == picture[:, 1]).all()  # not smoothed
    assert channel_picture(np.ones((2, 2)), 1.0, 1.0, (2, 2)).shape == (2, 2, 3)
