/**
 * Who asks for a change, as the audit log shows it. `endpoint` and `job` put it into the dependencies of a request or
 * a run, so that a domain function need not hand it on.
 */
export interface Origin {
  /**
   * `operator`: a person or program of the company that runs the deployment. `owner`: the account's own user, by access
   * token. `key`: an application key or a service. `anyone`: a public endpoint. `system`: a job or a webhook.
   */
  by: 'operator' | 'owner' | 'key' | 'anyone' | 'system'
  /** The operator's name, or the name of the job. */
  name?: string | undefined
  /** API Gateway's id of the request, which is also in the log lines. */
  requestId?: string | undefined
  /** The network address that the request came from. */
  ip?: string | undefined
}
