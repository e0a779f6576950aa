import * as z from 'zod/mini'
import { serviceName } from '../../../core/keys/service-name.ts'
import { ROLES } from '../../../core/operators/operator.ts'
import { reasonText } from '../../../core/operators/reason.ts'
import { pathText } from '../../http/cut-text.ts'
import { markdown } from '../../http/markdown.ts'
import type { OperatorRows } from '../../http/route.ts'

const adminKey = z.object({
  name: z.string(),
  role: z.enum(ROLES),
  last4: z.string(),
  createdAt: z.iso.datetime(),
  revokedAt: z.nullable(z.iso.datetime()),
})

export const adminKeys = {
  listAdminKeys: {
    routes: ['GET /ops/read/admin-keys'],
    summary: 'Lists the admin keys, with which programs act as operators',
    description: markdown(
      'All keys by name, those that were revoked too. Of a key only the last four characters are shown.',
    ),
    auth: 'operator',
    role: 'read',
    responses: { 200: z.object({ adminKeys: z.array(adminKey) }) },
    errors: [],
    needs: ['table'],
  },
  addAdminKey: {
    routes: ['POST /ops/admin/admin-keys'],
    summary: 'Makes an admin key, with which a program acts as an operator at /admin/api',
    description: markdown(
      'The program sends it in the header `Api-Key`, and may do what the role may. Its name is that of the operator in the audit',
      'log. The answer shows the key, and nothing can show it again.',
      '',
      '- 409: a live key has the name, or an account that is or was an operator. After a lost answer, revoke the key and make',
      'it again.',
    ),
    auth: 'operator',
    role: 'admin',
    body: z.strictObject({ name: serviceName, role: z.enum(ROLES), reason: reasonText }),
    responses: { 201: z.object({ adminKey, credential: z.string() }) },
    errors: ['admin_key_exists'],
    needs: ['table', 'keyring'],
  },
  revokeAdminKey: {
    routes: ['POST /ops/admin/admin-keys/{name}/revoke'],
    summary: 'Revokes an admin key for good',
    description: markdown(
      'Requests with it are refused within 30 seconds. A key that was revoked before is answered as it is. The name may be used',
      'again.',
    ),
    auth: 'operator',
    role: 'admin',
    path: z.object({ name: pathText }),
    body: z.strictObject({ reason: reasonText }),
    responses: { 200: z.object({ adminKey }) },
    errors: ['not_found'],
    needs: ['table', 'keyring'],
  },
} as const satisfies OperatorRows
