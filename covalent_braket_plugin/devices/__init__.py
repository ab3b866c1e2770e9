"""Devices by name, whether they can be used now, and which one an electron gets.

`names` finds a device by what people call it, `retired` knows the ones that are gone, `windows` and
`availability` say whether one can be used now; all pure. `catalogue` asks Braket what there is,
`lookout` asks how a device is, once for all electrons that want to know, and `choice` is the policy
of ``if_device_unavailable``.
"""
