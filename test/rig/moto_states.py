"""moto's server with its interpreter of state machines turned on.

Without the change below a second execution fails: moto copies the whole machine for each, with the threads of the first.
"""

import copy
import sys

from moto.core.config import default_user_config
from moto.server import main
from moto.stepfunctions.models import StateMachine


def copied(self, _memo):
    other = copy.copy(self)
    other.executions = []
    return other


StateMachine.__deepcopy__ = copied
default_user_config["stepfunctions"] = {"execute_state_machine": True}
main(sys.argv[1:])
