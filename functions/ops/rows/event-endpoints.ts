import * as z from 'zod/mini'
import { reasonText } from '../../../core/operators/reason.ts'
import { pathText } from '../../http/cut-text.ts'
import { markdown } from '../../http/markdown.ts'
import { optionalField } from '../../http/optional-field.ts'
import type { OperatorRows } from '../../http/route.ts'

const endpoint = z.object({
  id: z.string(),
  url: z.string(),
  types: z.array(z.string()),
  enabled: z.boolean(),
  createdAtMs: z.number(),
  failingSinceMs: z.optional(z.number()),
  disabledAtMs: z.optional(z.number()),
})
const url = z
  .string()
  .check(z.minLength(9), z.maxLength(500), z.regex(/^[!-~]+$/, 'must be an address without spaces'))
const types = z.array(z.string().check(z.regex(/^[a-z_]{2,30}\.[a-z_]{2,30}$/))).check(z.maxLength(50))
const path = z.object({ id: pathText })

export const eventEndpoints = {
  listEventEndpoints: {
    routes: ['GET /ops/read/endpoints'],
    summary: 'Lists the HTTPS endpoints that get events',
    description: markdown('`failingSinceMs`: since then nothing has arrived. Secrets are not shown.'),
    auth: 'operator',
    role: 'read',
    responses: { 200: z.object({ endpoints: z.array(endpoint) }) },
    errors: [],
    needs: ['table'],
  },
  addEventEndpoint: {
    routes: ['POST /ops/admin/endpoints'],
    summary: 'Makes an HTTPS endpoint that gets events',
    description: markdown(
      'Without `types` it gets all. The answer shows the secret that signs, and nothing can show it again.',
    ),
    auth: 'operator',
    role: 'admin',
    body: z.strictObject({ url, types: optionalField(types), reason: reasonText }),
    responses: { 201: z.object({ endpoint, secret: z.string() }) },
    errors: ['conflict'],
    needs: ['table', 'keyring', 'hooks'],
  },
  changeEventEndpoint: {
    routes: ['PUT /ops/admin/endpoints/{id}'],
    summary: 'Changes, disables or enables an endpoint for events',
    description: markdown(
      'What is left out stays. To enable it forgets earlier failures; replay what was missed.',
    ),
    auth: 'operator',
    role: 'admin',
    path,
    body: z.strictObject({
      url: optionalField(url),
      types: optionalField(types),
      enabled: z.optional(z.boolean()),
      reason: reasonText,
    }),
    responses: { 200: z.object({ endpoint }) },
    errors: ['not_found', 'conflict'],
    needs: ['table', 'keyring', 'hooks'],
  },
  rotateEventEndpoint: {
    routes: ['POST /ops/admin/endpoints/{id}/rotate'],
    summary: 'Gives an endpoint for events another secret; the old one signs as well for a day',
    description: markdown('The answer shows the new secret, and nothing can show it again.'),
    auth: 'operator',
    role: 'admin',
    path,
    body: z.strictObject({ reason: reasonText }),
    responses: { 201: z.object({ endpoint, secret: z.string(), oldUntilMs: z.number() }) },
    errors: ['not_found', 'conflict'],
    needs: ['table', 'keyring'],
  },
  replayEvents: {
    routes: ['POST /ops/support/endpoints/{id}/replay'],
    summary: 'Sends the events of a time span to an endpoint again',
    description: markdown(
      'Those of the last 30 days, up to 1,000; with more, `lastAtMs` says where to begin again. `eventId` sends one alone.',
    ),
    auth: 'operator',
    role: 'support',
    path,
    body: z.strictObject({
      sinceMs: z.int().check(z.minimum(0), z.maximum(99_999_999_999_999)),
      untilMs: z.int().check(z.minimum(0), z.maximum(99_999_999_999_999)),
      eventId: optionalField(z.uuid()),
      reason: reasonText,
    }),
    responses: { 200: z.object({ replayed: z.number(), lastAtMs: z.optional(z.number()) }) },
    errors: ['not_found', 'conflict'],
    needs: ['table'],
  },
} as const satisfies OperatorRows
