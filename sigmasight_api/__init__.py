"""SigmaSight API: exact portfolio answers from published figures."""
