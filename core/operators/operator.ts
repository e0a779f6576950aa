/** What an operator may do, from the least to the most: each role may also do what the roles before it may. */
export const ROLES = ['read', 'support', 'admin'] as const

export type Role = (typeof ROLES)[number]

/** A person or program of the company that runs the deployment, for one request. */
export interface Operator {
  /** The name in the audit log: of an IAM user, or of the session of an IAM role. */
  name: string
  role: Role
}

/** Whether an operator of one role may do what another role is for. */
export const mayAct = (has: Role, needed: Role): boolean => ROLES.indexOf(has) >= ROLES.indexOf(needed)

/**
 * The name of an AWS principal: that of an IAM user, or of the session of an IAM role.
 * @param arn such as `arn:aws:sts::123456789012:assumed-role/support/ada`
 */
export const nameOfPrincipal = (arn: string): string => /[^/:]*$/.exec(arn)?.[0] ?? arn
