import * as z from 'zod/mini'
import { serviceName } from '../../../core/keys/service-name.ts'
import { reasonText } from '../../../core/operators/reason.ts'
import { pathText } from '../../http/cut-text.ts'
import { markdown } from '../../http/markdown.ts'
import type { OperatorRows } from '../../http/route.ts'

const service = z.object({
  name: z.string(),
  scopes: z.array(z.string()),
  last4: z.string(),
  createdAt: z.iso.datetime(),
  revokedAt: z.nullable(z.iso.datetime()),
})

export const services = {
  listServices: {
    routes: ['GET /ops/read/services'],
    summary: 'Lists the services that spend units for customers',
    description: markdown(
      'All services by name, those that were revoked too. Of a credential only the last four characters are shown.',
    ),
    auth: 'operator',
    role: 'read',
    responses: { 200: z.object({ services: z.array(service) }) },
    errors: [],
    needs: ['table'],
  },
  addService: {
    routes: ['POST /ops/admin/services'],
    summary: 'Makes a service with a credential that spends units for customers',
    description: markdown(
      'A gateway or a worker of the company spends with one credential for many customers. The answer shows the credential,',
      'and nothing can show it again.',
      '',
      '- 409: the name has a live credential. After a lost answer, revoke the service and make it again.',
    ),
    auth: 'operator',
    role: 'admin',
    body: z.strictObject({ name: serviceName, reason: reasonText }),
    responses: { 201: z.object({ service, credential: z.string() }) },
    errors: ['service_exists'],
    needs: ['table', 'keyring'],
  },
  revokeService: {
    routes: ['POST /ops/admin/services/{name}/revoke'],
    summary: 'Revokes the credential of a service for good',
    description: markdown(
      'Requests with it are refused within 30 seconds. A service that was revoked before is answered as it is. The name may',
      'be used again.',
    ),
    auth: 'operator',
    role: 'admin',
    path: z.object({ name: pathText }),
    body: z.strictObject({ reason: reasonText }),
    responses: { 200: z.object({ service }) },
    errors: ['not_found'],
    needs: ['table', 'keyring'],
  },
} as const satisfies OperatorRows
