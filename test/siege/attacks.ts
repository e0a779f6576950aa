import { random } from './customers.ts'
import { type Account, type Answer, newAccount, pause, type World } from './world.ts'

/** One attack: who is attacked, and the requests of one moment. */
export interface Attack {
  name: string
  perSecond: number
  /** Makes what the attacker needs, before the siege. */
  prepare?(world: World): Promise<Account[]>
  /** Sends one request. @param n counts the requests of this attack */
  send(world: World, n: number, own: readonly Account[], victims: readonly Account[]): Promise<Answer>
}

const any = random(7)
const text = (length: number) => Array.from({ length }, () => Math.floor(any() * 16).toString(16)).join('')
const from = (n: number) => `203.0.${Math.floor(n / 200) % 200}.${(n % 200) + 1}`
const EVE = '192.0.2.66'

const accounts = (name: string, count: number, email?: (n: number) => string) => async (world: World) => {
  const made: Account[] = []
  for (let n = 0; n < count; n++)
    made.push(await newAccount(world, `${name}${n}`, `192.0.2.${n + 100}`, email?.(n)))
  return made
}

const one = <T>(list: readonly T[], n: number): T => {
  const found = list[n % list.length]
  if (found === undefined) throw new Error('nobody to attack with')
  return found
}

/** What outside checks found to be free for an attacker, all at once. */
export const attacks: readonly Attack[] = [
  {
    name: 'asks for mails to random addresses, from one address',
    perSecond: 25,
    send: (world, n) =>
      world.ask(EVE, 'POST', n % 2 ? '/v1/user/resetPassword' : '/v1/auth/resend', {
        json: { email: `${text(12)}@mail.example` },
      }),
  },
  {
    name: 'wrong passwords for customers’ names, from many networks',
    perSecond: 10,
    send: (world, n, _, victims) =>
      world.ask(from(n), 'POST', '/v1/auth/login', {
        json: { username: one(victims, n).username, password: `Wrong${n}!` },
      }),
  },
  {
    name: 'guesses passwords and codes with a session of its own',
    perSecond: 6,
    prepare: accounts('guesser', 1),
    send: (world, n, own) => {
      const { token } = one(own, 0)
      const asked = [
        ['PUT', '/v1/user/password', { oldPassword: `Wrong${n}!`, password: 'Hello124!' }],
        ['DELETE', '/v1/auth/2FA', { code: String(100_000 + (n % 900_000)) }],
        ['POST', '/v1/auth/confirm', { password: `Wrong${n}!` }],
      ] as const
      const [method, path, json] = one(asked, n)
      return world.ask(EVE, method, path, { token, json })
    },
  },
  {
    name: 'moves accounts to forms of one mailbox, to fill it',
    perSecond: 3,
    prepare: accounts('mover', 3),
    send: (world, n, own) => {
      const { token, username } = one(own, n)
      return world.ask(EVE, 'PUT', `/rest/users/${username}`, {
        token,
        json: { email: `victim+${n}@mail.example` },
      })
    },
  },
  {
    name: 'tries cards with accounts of one mailbox',
    perSecond: 3,
    prepare: accounts('carder', 4, (n) => `carder+${n}@mail.example`),
    send: (world, n, own) =>
      world.ask(from(n), 'POST', '/api/users/current/verify-payment', {
        token: one(own, n).token,
        json: { paymentMethod: one(['pm_card_chargeDeclined', 'pm_card_visa_chargeDeclined'], n) },
      }),
  },
  {
    name: 'registers accounts with forms of one mailbox',
    perSecond: 3,
    send: (world, n) =>
      world.ask(from(n), 'POST', '/rest/users', {
        json: { username: `farm${n}`, email: `farm+${n}@mail.example`, password: 'Hello123!' },
      }),
  },
  {
    name: 'registers accounts from one address',
    perSecond: 3,
    send: (world) =>
      world.ask(EVE, 'POST', '/v1/auth/register', {
        json: { name: 'Eve', surname: 'Mallory', email: `${text(10)}@mail.example`, password: 'Hello123!' },
      }),
  },
  {
    name: 'sends made-up application keys and tokens',
    perSecond: 20,
    send: (world, n) =>
      n % 2
        ? world.ask(EVE, 'POST', '/v1/usage', {
            token: `bsr_${text(64)}_1_${text(24)}_${text(16)}`,
            json: { units: 1 },
          })
        : world.ask(EVE, 'GET', '/v1/user', { token: `${text(20)}.${text(20)}.${text(20)}` }),
  },
  {
    name: 'sends made-up refresh tokens and mailed codes',
    perSecond: 5,
    send: (world, n) =>
      n % 2
        ? world.ask(EVE, 'POST', '/v1/auth/refresh', { json: { refreshToken: text(64) } })
        : world.ask(EVE, 'POST', '/v1/auth/activate', { json: { code: text(32) } }),
  },
  {
    name: 'rotates keys all the time',
    perSecond: 2,
    prepare: accounts('rotator', 1),
    send: (world, _, own) => world.ask(EVE, 'POST', '/v1/keys/default/rotate', { token: one(own, 0).token }),
  },
]

/** Sends the requests of an attack at its rate, whatever is answered. @returns how often each status was answered */
export async function attack(
  world: World,
  { perSecond, send }: Attack,
  own: readonly Account[],
  victims: readonly Account[],
  untilMs: number,
): Promise<Map<number | string, number>> {
  const statuses = new Map<number | string, number>()
  const under: Promise<void>[] = []
  const startMs = performance.now()
  for (let n = 0; performance.now() < untilMs; n++) {
    const answered = send(world, n, own, victims).then(
      ({ status }) => status as number | string,
      () => 'none',
    )
    under.push(answered.then((status) => void statuses.set(status, (statuses.get(status) ?? 0) + 1)))
    await pause(Math.max(0, startMs + ((n + 1) * 1000) / perSecond - performance.now()))
  }
  await Promise.all(under)
  return statuses
}
