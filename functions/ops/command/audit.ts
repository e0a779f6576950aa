import { ops } from '../routes.ts'
import { type Commands, command } from './command.ts'
import { table, timeText } from './text.ts'

interface Entry {
  at: string
  text: string
  by: string
  name?: string | undefined
  accountId?: string | undefined
  reason?: string | undefined
}

const who = ({ by, name }: Entry): string => (name === undefined ? by : `${name} (${by})`)

export const auditCommands = {
  audit: command(ops.auditOfAccount, {
    summary: 'shows what was done to an account and by whom, newest first',
    takes: ['id'],
    flags: { limit: 'how many entries: 50 without it', cursor: 'where the page before ended' },
    show: (entries) =>
      table(
        ['TIME (UTC)', 'WHO', 'WHAT', 'WHY'],
        entries.map((entry) => [timeText(entry.at), who(entry), entry.text, entry.reason ?? '']),
      ),
  }),
  'audit operator': command(ops.auditOfOperator, {
    summary: 'shows what an operator has done, newest first',
    takes: ['name'],
    flags: {
      day: 'a day in UTC such as 2026-11-21: all days without it',
      limit: 'how many entries: 50 without it',
      cursor: 'where the page before ended',
    },
    show: (entries) =>
      table(
        ['TIME (UTC)', 'ACCOUNT', 'WHAT', 'WHY'],
        entries.map(({ at, accountId, text, reason }) => [timeText(at), accountId ?? '', text, reason ?? '']),
      ),
  }),
} satisfies Commands
