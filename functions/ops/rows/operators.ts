import * as z from 'zod/mini'
import { isVisibleText } from '../../../core/account/visible-text.ts'
import { ROLES } from '../../../core/operators/operator.ts'
import { reasonText } from '../../../core/operators/reason.ts'
import { pathText } from '../../http/cut-text.ts'
import { markdown } from '../../http/markdown.ts'
import type { OperatorRows } from '../../http/route.ts'

const operator = z.object({
  name: z.string(),
  accountId: z.string(),
  role: z.enum(ROLES),
  addedAt: z.iso.datetime(),
  removedAt: z.nullable(z.iso.datetime()),
})

export const operators = {
  whoami: {
    routes: ['GET /ops/read/whoami'],
    summary: 'Shows under which name and role your requests are known',
    description: markdown(
      'The name is what the audit log shows of you: that of your IAM user, of the session of the role that you have',
      'assumed, or that under which your account was made an operator. The role is that of the account; for AWS credentials',
      'it is that of the path, which your IAM policy permits.',
    ),
    auth: 'operator',
    role: 'read',
    responses: { 200: z.object({ name: z.string(), role: z.enum(ROLES) }) },
    errors: [],
    needs: ['table'],
  },
  listOperators: {
    routes: ['GET /ops/read/operators'],
    summary: 'Lists the accounts that are or were operators',
    description: markdown(
      'Those that were removed have the time. Principals of AWS IAM are not in the list.',
    ),
    auth: 'operator',
    role: 'read',
    responses: { 200: z.object({ operators: z.array(operator) }) },
    errors: [],
    needs: ['table'],
  },
  addOperator: {
    routes: ['POST /ops/admin/operators'],
    summary: 'Makes an account an operator, or gives it another role',
    description: markdown(
      'The account reaches the endpoints of its role at `/console/…` with its access token, once it has signed in with a',
      'second factor or a passkey, for eight hours. Its username of now is its name in the audit log for good.',
      '',
      '- 404: there is no active account of this username, address or id.',
      '- 409: another account has been an operator of this name.',
    ),
    auth: 'operator',
    role: 'admin',
    body: z.strictObject({
      account: z
        .string()
        .check(
          z.trim(),
          z.minLength(1),
          z.maxLength(320),
          z.refine(isVisibleText, 'has a character that nobody sees'),
        ),
      role: z.enum(ROLES),
      reason: reasonText,
    }),
    responses: { 200: z.object({ operator }) },
    errors: ['not_found', 'operator_exists'],
    needs: ['table'],
  },
  removeOperator: {
    routes: ['POST /ops/admin/operators/{name}/remove'],
    summary: 'Makes an account no operator any more',
    description: markdown(
      'Its next request is refused. One that was removed before is answered as it is. The account itself stays.',
    ),
    auth: 'operator',
    role: 'admin',
    path: z.object({ name: pathText }),
    body: z.strictObject({ reason: reasonText }),
    responses: { 200: z.object({ operator }) },
    errors: ['not_found'],
    needs: ['table'],
  },
} as const satisfies OperatorRows
