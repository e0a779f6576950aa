import { mayAct, ROLES, type Role } from '../../core/operators/operator.ts'

/**
 * The paths of the API that an operator's role may call, as the end of an IAM resource: every method, and every path
 * of this role and of those below it.
 */
export const pathsOf = (role: Role): string[] =>
  ROLES.filter((each) => mayAct(role, each)).map((each) => `*/ops/${each}/*`)

/**
 * The statement of an IAM policy that lets its holder act as an operator.
 * @param api `arn:aws:execute-api:<region>:<account>:<api id>`
 */
export const policyOf = (role: Role, api: string) => ({
  Effect: 'Allow',
  Action: 'execute-api:Invoke',
  Resource: pathsOf(role).map((path) => `${api}/$default/${path}`),
})
