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

/** The units used in all, as `allusage`, and by day and key; null stands for keys that were deleted. */
export const usageReport = ({ used, days }: Usage) => ({ allusage: used, days: days.map(usageDay) })

const usageDay = ({ startMs, units, keys }: DayUse) => ({
  day: isoDay(startMs),
  units,
  keys: keys.map((key) => ({ id: key.id ?? null, units: key.units })),
})
