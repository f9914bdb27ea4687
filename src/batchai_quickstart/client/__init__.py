"""The object API: handles on resources behind an ARM endpoint, and the files beside them.

| module | knows |
|---|---|
| `connection` | where the service is and which credential speaks to it |
| `gateway` | how to ask it: the only importer of `azure.mgmt` |
| `translation` | which of our exceptions a foreign one is |
| `answers` | what the gateway hands back |
| `resource` | what every handle does: read, wait, delete |
| `workspace` `cluster` `experiment` `job` `group` `storage` | the handles |
| `sshkey` | the key pair of a cluster's admin user |
| `jobfile` | job.json |
| `tail` `link` `joblog` | following a remote file: the rules, the HTTP, the job's side |

Import the public names from `batchai_quickstart`.
"""
