import * as z from 'zod/mini'
import { unitsText } from './amounts.ts'
import { timeText } from './recovery-texts.ts'

/** What a mail about an alert tells. */
export const alertNewsSchema = z.object({
  /** As its owner chose it: below 1 a share of the bundle held, from 1 on units. */
  below: z.number(),
  /** The same in units, when the alert was crossed. */
  threshold: z.number(),
  /** Units left when the crossing was noted. */
  left: z.number(),
  /** When the alert was crossed, epoch ms. */
  atMs: z.number(),
})

export type AlertNews = z.infer<typeof alertNewsSchema>

/** What a mail and a notice about an alert say: its subject, what happened, and what follows. */
export function alertText({ below, threshold, left, atMs }: AlertNews) {
  const share = below < 1 ? ` (${Math.round(below * 10_000) / 100} % of your bundle)` : ''
  return {
    subject: `Fewer than ${unitsText(threshold)} are left`,
    happened: `You asked us to tell you when fewer than ${unitsText(threshold)}${share} are left. This has been so since ${timeText(atMs)}, and when we looked, ${unitsText(left)} ${left === 1 ? 'was' : 'were'} left.`,
    next: 'Once no unit is left, requests that use your keys are refused. To go on without a gap, refill your bundle or switch auto-renewal on. We will tell you again if this happens after more units have been added.',
  }
}
