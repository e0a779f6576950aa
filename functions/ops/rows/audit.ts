import * as z from 'zod/mini'
import { positionOf, TIME_CURSOR } from '../../../core/table/time-cursor.ts'
import { DAY_MS } from '../../../core/time.ts'
import { pathText } from '../../http/cut-text.ts'
import { markdown } from '../../http/markdown.ts'
import { accountPath } from '../../http/operator-schemas.ts'
import { optionalField } from '../../http/optional-field.ts'
import { pageLimit } from '../../http/page-query.ts'
import type { OperatorRows } from '../../http/route.ts'
import { calendarDay } from '../../http/time-schema.ts'
import { dayStartMs } from '../../http/time-shapes.ts'

const page = {
  limit: pageLimit,
  cursor: z.optional(z.string().check(z.regex(TIME_CURSOR))),
}

/** What has changed, in short values. */
const facts = z.optional(z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])))

const entry = z.object({
  id: z.string(),
  at: z.iso.datetime(),
  action: z.string(),
  text: z.string(),
  accountId: z.optional(z.string()),
  by: z.enum(['owner', 'operator', 'key', 'anyone', 'system']),
  name: z.optional(z.string()),
  reason: z.optional(z.string()),
  before: facts,
  after: facts,
  requestId: z.optional(z.string()),
  ip: z.optional(z.string()),
})

/** Whether a page continues the list of the same day: the table refuses a position outside of what it reads. */
function isOfDay({ day, cursor }: { day?: string | undefined; cursor?: string | undefined }): boolean {
  if (day === undefined || cursor === undefined) return true
  const { atMs } = positionOf(cursor)
  return atMs >= dayStartMs(day) && atMs < dayStartMs(day) + DAY_MS
}

export const audit = {
  auditOfAccount: {
    routes: ['GET /ops/read/accounts/{id}/audit'],
    summary: 'Lists what was done to an account and by whom, newest first',
    description: markdown(
      'Sign-ins, changes of who gets in, and what operators did. `name` is the operator, or the job of Bursar that acted.',
      'With another page, the header `Link` leads to it. Of an erased account the times and kinds are left.',
    ),
    auth: 'operator',
    role: 'read',
    path: accountPath,
    query: z.strictObject(page),
    responses: { 200: z.array(entry) },
    errors: [],
    needs: ['table'],
  },
  auditOfOperator: {
    routes: ['GET /ops/read/operators/{name}/audit'],
    summary: 'Lists what an operator has done, on all days or on one, newest first',
    description: markdown(
      '`name` is what `GET /ops/read/whoami` shows that person. `day` is a day in UTC such as `2026-11-21`.',
      'With another page, the header `Link` leads to it.',
    ),
    auth: 'operator',
    role: 'read',
    path: z.object({ name: pathText.check(z.maxLength(100)) }),
    query: z
      .strictObject({
        ...page,
        day: optionalField(calendarDay()),
      })
      .check(z.refine(isOfDay, { path: ['cursor'], error: 'must be of the same day' })),
    responses: { 200: z.array(entry) },
    errors: [],
    needs: ['table'],
  },
} as const satisfies OperatorRows
