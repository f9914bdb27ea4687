"""The object API: handles on resources behind an ARM endpoint, and the files beside them.

| module | knows |
|---|---|
| `connection` | where the service is and which credential speaks to it |
| `gateway` | how to ask it: the only importer of `azure.mgmt` |
| `policies` | what each request passes through: token, retries |
| `longpoll` | what a request says to be held |
| `translation` | which of our exceptions a foreign one is |
| `answers` | what the gateway hands back |
| `resource` | what every handle does: read, wait, delete |
| `workspace` `cluster` `experiment` `job` `group` `storage` | the handles |
| `fileshare` `container` `stored` `transfer` | inputs going up, outputs coming down |
| `outputs` | the files a job leaves behind |
| `sshkey` | the key pair of a cluster's admin user |
| `jobfile` | job.json |
| `tail` `link` `joblog` | following a remote file: the rules, the HTTP, the job's side |

Import the public names from `batchai_quickstart`.
"""
