"""Tests of single modules: no worker process is started. Folders mirror the packages."""
