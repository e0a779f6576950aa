import * as z from 'zod/mini'
import { ROLES } from '../../../core/operators/operator.ts'
import { markdown } from '../../http/markdown.ts'
import type { OperatorRows } from '../../http/route.ts'

export const operators = {
  whoami: {
    routes: ['GET /ops/read/whoami'],
    summary: 'Shows under which name and role your requests are known',
    description: markdown(
      'The name is what the audit log shows of you: that of your IAM user, or of the session of the role that you have',
      'assumed. The role is that of the path, which your IAM policy permits.',
    ),
    auth: 'operator',
    role: 'read',
    responses: { 200: z.object({ name: z.string(), role: z.enum(ROLES) }) },
    errors: [],
    needs: [],
  },
} as const satisfies OperatorRows
