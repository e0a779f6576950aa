import { billOf } from './bill.ts'
import type { Eased } from './play.ts'
import { prices } from './prices.ts'
import { costTable, metList, peakTable, volumeTable } from './report.ts'

/** The numbers of accounts that the page shows. */
export const SIZES: readonly number[] = [1_000, 100_000, 10_000_000]

/** The parts of `functions/deploy/growth.md` that the simulation writes, by name. */
export function growthBlocks(played: readonly Eased[]): Record<string, string> {
  const months = played.map(({ before }) => before.month)
  const bills = months.map((month) => ({
    accounts: month.scale.accounts,
    bill: billOf(month, prices['us-east-1']),
  }))
  const largest = played.at(-1)
  return {
    volume: volumeTable(months),
    cost: costTable(bills),
    peaks: largest ? peakTable(largest.before, largest.after) : '',
    limits: largest ? metList(largest.met) : '',
  }
}

const block = (name: string) => new RegExp(`(<!-- simulate ${name} -->\n)([\\s\\S]*?)(\n<!-- /simulate -->)`)

/** The text between the marks of a block. */
export const blockOf = (page: string, name: string): string | undefined => block(name).exec(page)?.[2]

export const replaceBlocks = (page: string, blocks: Record<string, string>): string =>
  Object.entries(blocks).reduce(
    (text, [name, content]) => text.replace(block(name), (_, begin, __, end) => begin + content + end),
    page,
  )
