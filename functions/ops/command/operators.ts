import { ops } from '../routes.ts'
import { type Commands, command } from './command.ts'
import { facts, table, timeText } from './text.ts'

export const operatorCommands = {
  whoami: command(ops.whoami, {
    summary: 'shows under which name the deployment knows you',
    show: ({ name, role }) => facts({ name, role }),
  }),
  'operator add': command(ops.addOperator, {
    summary: 'makes an account an operator of the console, or gives it another role',
    takes: ['account'],
    flags: { role: 'read, support or admin', reason: 'why, for the audit log' },
    asks: ({ account, role }) => `The account ${account} becomes an operator with the role ${role}.`,
    show: ({ operator: { name, role } }) =>
      `${name} is an operator with the role ${role}, once signed in with a second factor or a passkey.`,
  }),
  'operator list': command(ops.listOperators, {
    summary: 'shows the accounts that are or were operators',
    show: ({ operators }) =>
      operators.length === 0
        ? 'No account is an operator. Make one: npm run ops -- operator add <account> --role support --reason "…"'
        : table(
            ['NAME', 'ROLE', 'ACCOUNT', 'ADDED (UTC)', 'STATE'],
            operators.map(({ name, role, accountId, addedAt, removedAt }) => [
              name,
              role,
              accountId,
              timeText(addedAt),
              removedAt === null ? 'operator' : `removed ${timeText(removedAt)}`,
            ]),
          ),
  }),
  'operator remove': command(ops.removeOperator, {
    summary: 'makes an account no operator any more',
    takes: ['name'],
    flags: { reason: 'why, for the audit log' },
    asks: ({ name }) => `${name} can do nothing as an operator any more.`,
    show: ({ operator: { name } }) => `${name} is no operator any more; the next request is refused.`,
  }),
} satisfies Commands
