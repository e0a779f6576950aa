import { ops } from '../routes.ts'
import { type Commands, command } from './command.ts'
import { table, timeText } from './text.ts'

export const adminKeyCommands = {
  'admin-key add': command(ops.addAdminKey, {
    summary: 'makes an admin key for a program and shows it, this once',
    takes: ['name'],
    flags: { role: 'read, support or admin', reason: 'why, for the audit log' },
    asks: ({ name, role }) => `Programs with the key ${name} act as an operator with the role ${role}.`,
    show: ({
      adminKey: { name, role },
      credential,
    }) => `The admin key ${name} is made, with the role ${role}. Keep it now, for nothing can show it again:

  ${credential}

A request to /admin/api sends it as "Api-Key: bsa_…". If it gets into wrong hands: npm run ops -- admin-key revoke ${name}`,
  }),
  'admin-key list': command(ops.listAdminKeys, {
    summary: 'shows all admin keys, with those that were revoked',
    show: ({ adminKeys }) =>
      adminKeys.length === 0
        ? 'There are no admin keys. Make one: npm run ops -- admin-key add <name> --role read --reason "…"'
        : table(
            ['NAME', 'ROLE', 'KEY', 'CREATED (UTC)', 'STATE'],
            adminKeys.map(({ name, role, last4, createdAt, revokedAt }) => [
              name,
              role,
              `bsa_…${last4}`,
              timeText(createdAt),
              revokedAt === null ? 'live' : `revoked ${timeText(revokedAt)}`,
            ]),
          ),
  }),
  'admin-key revoke': command(ops.revokeAdminKey, {
    summary: 'revokes an admin key; requests with it are refused within 30 seconds',
    takes: ['name'],
    flags: { reason: 'why, for the audit log' },
    defaults: { reason: 'npm run ops -- admin-key revoke' },
    show: ({ adminKey: { name } }) =>
      `The admin key ${name} is revoked. Requests with it are refused within 30 seconds.`,
  }),
} satisfies Commands
