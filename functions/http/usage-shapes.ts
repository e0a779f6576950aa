import type { DayRange, DayUse, Usage } from '../../core/quota/usage.ts'
import { dayStartMs, isoDay } from './time-shapes.ts'

/** Days such as 2026-11-21, both included. */
export const usageRange = ({
  from,
  to,
}: {
  from?: string | undefined
  to?: string | undefined
}): DayRange => ({
  fromMs: from === undefined ? undefined : dayStartMs(from),
  toMs: to === undefined ? undefined : dayStartMs(to),
})

/** All units used, as `allusage`, and the units by day and key. The id null stands for all deleted keys. */
export const usageReport = ({ used, days }: Usage) => ({ allusage: used, days: days.map(usageDay) })

const usageDay = ({ startMs, units, keys }: DayUse) => ({
  day: isoDay(startMs),
  units,
  keys: keys.map(({ id, units, tags }) => ({
    id: id ?? null,
    units,
    ...(tags && { tags: tags.map((each) => ({ tag: each.tag ?? null, units: each.units })) }),
  })),
})
