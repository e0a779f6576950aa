import { ops } from '../routes.ts'
import { type Answer, type Commands, command } from './command.ts'
import { facts, table, timeText } from './text.ts'

const REASON = { reason: 'why, for the audit log' }
const PAGE = { limit: 'how many: 50 without it', cursor: 'where the page before ended' }

type Endpoint = Answer<typeof ops.changeEventEndpoint>['endpoint']

const stateOf = ({ enabled, disabledAt, failingSince }: Endpoint): string => {
  if (disabledAt !== null) return `disabled ${timeText(disabledAt)}, nothing arrived`
  if (!enabled) return 'disabled'
  return failingSince === null ? 'enabled' : `failing since ${timeText(failingSince)}`
}

const typesOf = ({ types }: Endpoint): string => (types.length === 0 ? 'all' : types.join(' '))

const endpointFacts = (endpoint: Endpoint): string =>
  facts({ endpoint: endpoint.id, url: endpoint.url, types: typesOf(endpoint), state: stateOf(endpoint) })

const secretText = (secret: string): string => `Keep its secret now, for nothing can show it again:

  ${secret}

The library of Standard Webhooks for your language checks the signatures with it.`

export const eventEndpointCommands = {
  'endpoint list': command(ops.listEventEndpoints, {
    summary: 'shows the HTTPS endpoints that get events',
    show: ({ endpoints }) =>
      endpoints.length === 0
        ? 'There are no endpoints. Make one: npm run ops -- endpoint add <url> --reason <why>'
        : table(
            ['ID', 'URL', 'TYPES', 'STATE (UTC)'],
            endpoints.map((endpoint) => [endpoint.id, endpoint.url, typesOf(endpoint), stateOf(endpoint)]),
          ),
  }),
  'endpoint add': command(ops.addEventEndpoint, {
    summary: 'makes an HTTPS endpoint that gets events, and shows its secret, this once',
    takes: ['url'],
    flags: { ...REASON, types: 'the types that it gets, with commas between them: all without it' },
    show: ({ endpoint, secret }) => `${endpointFacts(endpoint)}\n\n${secretText(secret)}`,
  }),
  'endpoint change': command(ops.changeEventEndpoint, {
    summary: 'changes the address or the types of an endpoint for events',
    takes: ['id'],
    flags: { ...REASON, url: 'its new address', types: 'the types that it gets from now on' },
    show: ({ endpoint }) => endpointFacts(endpoint),
  }),
  'endpoint disable': command(ops.changeEventEndpoint, {
    summary: 'holds what an endpoint for events would get, for 30 days',
    takes: ['id'],
    flags: REASON,
    defaults: { enabled: false },
    show: ({ endpoint }) => endpointFacts(endpoint),
  }),
  'endpoint enable': command(ops.changeEventEndpoint, {
    summary: 'sends events to an endpoint again; what was held meanwhile needs a replay',
    takes: ['id'],
    flags: REASON,
    defaults: { enabled: true },
    show: ({ endpoint }) => endpointFacts(endpoint),
  }),
  'endpoint rotate': command(ops.rotateEventEndpoint, {
    summary: 'gives an endpoint for events another secret; the old one signs as well for a day',
    takes: ['id'],
    flags: REASON,
    show: ({ secret, oldUntil }) =>
      `${secretText(secret)}\nThe secret before it signs as well until ${timeText(oldUntil)} UTC.`,
  }),
  'endpoint test': command(ops.testEventEndpoint, {
    summary: 'sends a test event to an endpoint at once',
    takes: ['id'],
    flags: REASON,
    defaults: { reason: 'npm run ops -- endpoint test' },
    show: ({ delivered, result }) =>
      delivered ? `It has arrived: ${result}.` : `It has not arrived: ${result}.`,
  }),
  'endpoint deliveries': command(ops.listDeliveries, {
    summary: 'shows what was sent to an endpoint and what came of it, newest first',
    takes: ['id'],
    flags: PAGE,
    show: (deliveries) =>
      deliveries.length === 0
        ? 'Nothing was sent there in the last 30 days.'
        : table(
            ['HAPPENED (UTC)', 'TYPE', 'EVENT', 'STATE', 'TRIES', 'RESULT'],
            deliveries.map(({ happenedAt, type, eventId, state, tries, result }) => [
              ...[timeText(happenedAt), type, eventId, state, String(tries), result ?? ''],
            ]),
          ),
  }),
  'endpoint replay': command(ops.replayEvents, {
    summary: 'sends the events of a time span to an endpoint again',
    takes: ['id'],
    flags: {
      ...REASON,
      since: 'from when on, such as 2026-11-21T12:00:00Z',
      until: 'until when: now without it',
      eventId: 'only this event',
    },
    show: ({ replayed, next }) =>
      next === null
        ? `${replayed} events are sent again.`
        : `${replayed} events are sent again, and there are more: repeat it with --since ${next}`,
  }),
} satisfies Commands
