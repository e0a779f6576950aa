import { ops } from '../routes.ts'
import { type Commands, command } from './command.ts'
import { table, timeText } from './text.ts'

export const serviceCommands = {
  'service add': command(ops.addService, {
    summary: 'makes a service and shows its credential, this once',
    takes: ['name'],
    flags: { reason: 'why, for the audit log' },
    defaults: { reason: 'npm run ops -- service add' },
    show: ({
      service: { name },
      credential,
    }) => `The service ${name} is made. Keep its credential now, for nothing can show it again:

  ${credential}

A request sends it as "Authorization: Bearer bss_…", with the customer's key in "X-Bursar-Key" or their
account id in "X-Bursar-Account". If it gets into wrong hands: npm run ops -- service revoke ${name}`,
  }),
  'service list': command(ops.listServices, {
    summary: 'shows all services, with those that were revoked',
    show: ({ services }) =>
      services.length === 0
        ? 'There are no services. Make one: npm run ops -- service add <name>'
        : table(
            ['NAME', 'SCOPES', 'CREDENTIAL', 'CREATED (UTC)', 'STATE'],
            services.map(({ name, scopes, last4, createdAt, revokedAt }) => [
              name,
              scopes.join(' '),
              `bss_…${last4}`,
              timeText(createdAt),
              revokedAt === null ? 'live' : `revoked ${timeText(revokedAt)}`,
            ]),
          ),
  }),
  'service revoke': command(ops.revokeService, {
    summary: 'revokes a credential; requests with it are refused within 30 seconds',
    takes: ['name'],
    flags: { reason: 'why, for the audit log' },
    defaults: { reason: 'npm run ops -- service revoke' },
    show: ({ service: { name } }) =>
      `The service ${name} is revoked. Requests with its credential are refused within 30 seconds.`,
  }),
} satisfies Commands
