"""`python -m inset_bridge`: what the hub's spawner runs in place of `jupyterhub-singleuser`."""

from inset_bridge.app import BridgeSingleUser

if __name__ == "__main__":
    BridgeSingleUser.launch_instance()
