import * as z from 'zod/mini'
import { reasonText } from '../../../core/operators/reason.ts'
import { TIME_CURSOR } from '../../../core/table/time-cursor.ts'
import { pathText } from '../../http/cut-text.ts'
import { markdown } from '../../http/markdown.ts'
import { optionalField } from '../../http/optional-field.ts'
import { pageLimit } from '../../http/page-query.ts'
import type { OperatorRows } from '../../http/route.ts'
import { time } from '../../http/time-schema.ts'

const endpoint = z.object({
  id: z.string(),
  url: z.string(),
  types: z.array(z.string()),
  enabled: z.boolean(),
  createdAt: z.iso.datetime(),
  failingSince: z.nullable(z.iso.datetime()),
  disabledAt: z.nullable(z.iso.datetime()),
})
const url = z
  .string()
  .check(z.minLength(9), z.maxLength(500), z.regex(/^[!-~]+$/, 'must be an address without spaces'))
const types = z.array(z.string().check(z.regex(/^[a-z_]{2,30}\.[a-z_]{2,30}$/))).check(z.maxLength(50))
const path = z.object({ id: pathText })
const delivery = z.object({
  eventId: z.uuid(),
  type: z.string(),
  happenedAt: z.iso.datetime(),
  state: z.enum(['waiting', 'delivered', 'failed', 'held']),
  tries: z.int(),
  lastTriedAt: z.nullable(z.iso.datetime()),
  result: z.nullable(z.string()),
})

export const eventEndpoints = {
  listEventEndpoints: {
    routes: ['GET /ops/read/endpoints'],
    summary: 'Lists the HTTPS endpoints that get events',
    description: markdown(
      '`failingSince`: since then nothing has arrived. `disabledAt`: Bursar has disabled it after three days of that. Secrets are',
      'not shown.',
    ),
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
    responses: { 201: z.object({ endpoint, secret: z.string(), oldUntil: z.iso.datetime() }) },
    errors: ['not_found', 'conflict'],
    needs: ['table', 'keyring'],
  },
  replayEvents: {
    routes: ['POST /ops/support/endpoints/{id}/replay'],
    summary: 'Sends the events of a time span to an endpoint again',
    description: markdown(
      'Those of the last 30 days, up to 1,000; with more, `next` is the `since` with which to go on. `eventId` sends one alone.',
    ),
    auth: 'operator',
    role: 'support',
    path,
    body: z.strictObject({
      since: time(),
      until: optionalField(time()),
      eventId: optionalField(z.uuid()),
      reason: reasonText,
    }),
    responses: { 200: z.object({ replayed: z.int(), next: z.nullable(z.iso.datetime()) }) },
    errors: ['not_found', 'conflict'],
    needs: ['table'],
  },
  listDeliveries: {
    routes: ['GET /ops/read/endpoints/{id}/deliveries'],
    summary: 'Lists what was sent to an endpoint for events, and what came of it, newest event first',
    description: markdown(
      '`state`: `waiting` for its next try, `delivered`, `failed` after three days, or `held` because the endpoint is disabled.',
      '`result` is the HTTP status of the last try, or why there was none. Deliveries are kept for 30 days.',
      'With another page, the header `Link` leads to it.',
    ),
    auth: 'operator',
    role: 'read',
    path,
    query: z.strictObject({
      limit: pageLimit,
      cursor: z.optional(z.string().check(z.regex(TIME_CURSOR))),
    }),
    responses: { 200: z.array(delivery) },
    errors: ['not_found'],
    needs: ['table'],
  },
  testEventEndpoint: {
    routes: ['POST /ops/support/endpoints/{id}/test'],
    summary: 'Sends a signed test event to an endpoint at once, and shows what it answers',
    description: markdown(
      'An event of the type `endpoint.tested` is sent once, also to an endpoint that is disabled, and stands for no account: its `accountId` has zeros only.',
      '`delivered` says whether the endpoint answered 2xx; `result` is the HTTP status, or why there was none.',
    ),
    auth: 'operator',
    role: 'support',
    path,
    body: z.strictObject({ reason: reasonText }),
    responses: { 200: z.object({ delivered: z.boolean(), result: z.string() }) },
    errors: ['not_found'],
    needs: ['table', 'keyring', 'hooks'],
  },
} as const satisfies OperatorRows
