import * as z from 'zod/mini'
import { isExportCursor } from '../../core/account/export.ts'
import { exportedKinds, mailRequestKind } from '../../core/account/export-sections.ts'

/** `next` of an export's last page. */
export const exportCursor = z
  .string()
  .check(z.regex(/^[\w-]{2,410}$/), z.refine(isExportCursor, 'must be `next` of the page before'))

/** An entry of a section. Its fields are those of the item that is stored. */
const entry = z.looseObject({})

const sections = Object.fromEntries(
  [...exportedKinds, mailRequestKind].map(({ section }) => [section, z.optional(z.array(entry))]),
)

/** A page of an export: a section is absent if the page has nothing of it. */
export const exportPage = z.object({
  version: z.literal(1),
  exportedAt: z.iso.datetime(),
  ...sections,
  omitted: z.optional(z.array(z.object({ section: z.string(), what: z.string(), why: z.string() }))),
  elsewhere: z.optional(z.array(z.object({ where: z.string(), what: z.string() }))),
  next: z.nullable(z.string()),
})
