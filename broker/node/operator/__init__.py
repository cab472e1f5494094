"""The operator's pages: how the exchange is, who its members are, what was refused, which rules are in force. They show no content and
change nothing: what changes an exchange is signed, with the commands of the program.
"""
