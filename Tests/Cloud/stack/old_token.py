"""Prints a Fernet token that Keystone itself would have made, ended some hours ago.

    python old_token.py KEYSTONE_CONF USER_ID PROJECT_ID HOURS

Waiting for a token to end takes its lifetime; signing one with Keystone's keys takes a second. A program of its own,
since Keystone's configuration is one per process.
"""

import base64
import datetime
import os
import sys

import keystone.conf
from keystone.common import utils
from keystone.token import token_formatters


def main():
    configuration, user, project, hours = sys.argv[1:]
    keystone.conf.configure()
    keystone.conf.CONF([], default_config_files=[configuration], project="keystone")
    now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    end = utils.isotime(now - datetime.timedelta(hours=float(hours)), subsecond=True)
    audit = base64.urlsafe_b64encode(os.urandom(16)).rstrip(b"=").decode()
    print(token_formatters.TokenFormatter().create_token(
        user, end, [audit], token_formatters.ProjectScopedPayload, methods=["password"], project_id=project))


main()
