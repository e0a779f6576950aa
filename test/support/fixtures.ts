import type Stripe from 'stripe'
import { type Account, type Profile, readAccount } from '../../core/account/account.ts'
import { confirmEmail } from '../../core/account/confirm.ts'
import { emailKey } from '../../core/account/fields.ts'
import { registerAccount } from '../../core/account/register.ts'
import { proveCard } from '../../core/cards/verify.ts'
import { signIn } from '../../core/credentials/sessions.ts'
import { DomainError } from '../../core/errors.ts'
import { readDefaultKey } from '../../core/keys/default-key.ts'
import type { Identity, Ports } from '../../core/ports.ts'
import { buyBundle } from '../../core/purchases/buy.ts'
import type { BundleName } from '../../core/purchases/catalogue.ts'
import { keys, paymentKey } from '../../core/table/keys.ts'
import type { Item, Table, Write } from '../../core/table/table.ts'
import { openWireTable } from '../../core/table/wire.ts'
import { receiveWebhook } from '../../core/webhooks/events.ts'
import type { Stack } from '../local/stack.ts'
import { signatureOf } from '../local/stripe/webhooks.ts'
import { memoryTable } from '../machine/memory-table.ts'
import { stripeHere } from '../machine/purchase-stripe.ts'
import type { Person, SignedInPerson } from './people.ts'

/**
 * Accounts for tests to start with. The domain's own functions make an account, as for a request, but on a
 * table in memory and with doubles that are called in this process; then all items are written into the
 * database at once. That takes a tenth of the time. `fixtures.test.ts` checks that the result equals that of
 * requests over HTTP.
 */
export interface Fixtures {
  /** Registers, confirms and signs in. */
  signUp(person: Person): Promise<SignedInPerson>
  /** Signs in once more. */
  login(accountId: string, person: Person): Promise<SignedInPerson>
  /** Signs up, buys a bundle, authenticates if 3-D Secure is required, and delivers Stripe's events. */
  newBuyer(person: Person, signup: Signup): Promise<Buyer>
  /** Buys a bundle for an existing account. */
  buyBundle(accountId: string, signup: Signup): Promise<void>
  /** Puts a card on file and delivers Stripe's events. @returns the card's id. */
  cardOnFile(accountId: string, paymentMethod: string): Promise<string>
  /** Writes items into the database directly, so that no call is counted and no fault applies. */
  put(items: readonly Item[]): Promise<void>
  /** Writes into the database directly, as `put`. */
  transact(writes: readonly Write[]): Promise<void>
  /** The account's default application key. */
  defaultKey(accountId: string): Promise<string>
}

type Buyer = SignedInPerson & { key: string }

/** A bundle, and the test number of the new card that pays for the bundle. */
export interface Signup {
  bundle: BundleName
  cardNumber: string
  address: NonNullable<Profile['address']>
}

/** The tools of a fixture: ports over a table in memory, and Stripe as the operator sees it. */
interface Backstage {
  ports: Ports
  /** The code in the newest mail. */
  mailedCode(): string
  operator: Stripe
  authenticate(paymentId: string): void
  /** Delivers the events that Stripe would already have delivered. */
  deliverEvents(): Promise<void>
}

export function openFixtures(stack: Stack, live: () => Promise<Ports>): Fixtures {
  /** The database itself, without the proxy that counts calls and injects faults. */
  const database = openWireTable({
    tableName: stack.tableName,
    region: stack.env.AWS_REGION ?? '',
    endpoint: stack.dynamo.rawUrl,
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  })

  /** Reads an account into memory, runs work on the account, and writes the changes back. */
  async function backstage<T>(
    accountId: string | undefined,
    work: (at: Backstage) => Promise<T>,
  ): Promise<T> {
    const before = accountId === undefined ? [] : await itemsOf(database, accountId)
    const table = memoryTable(before)
    const result = await work(openBackstage(stack, await live(), table))
    const after = table.items()
    const left = new Set(after.map(nameOf))
    await database.putAll(after.filter((item) => !before.includes(item)))
    await Promise.all(
      before.filter((item) => !left.has(nameOf(item))).map((item) => database.remove(keyOf(item))),
    )
    return result
  }

  return {
    signUp: (person) => backstage(undefined, (at) => signUp(at, person)),
    login: (accountId, person) => backstage(accountId, (at) => signInPerson(at, person)),
    newBuyer: (person, signup) =>
      backstage(undefined, async (at) => {
        const signedUp = await signUp(at, person)
        const account = await signUpFor(at, signedUp.accountId, signup)
        return { ...signedUp, key: defaultKeyOf(at.ports, account) }
      }),
    buyBundle: (accountId, signup) =>
      backstage(accountId, async (at) => void (await signUpFor(at, accountId, signup))),
    cardOnFile: (accountId, paymentMethod) =>
      backstage(accountId, async ({ ports, deliverEvents }) => {
        const cards = () => ports.table.list(keys.account(accountId), 'CARD#')
        const before = (await cards()).map(({ sk }) => sk)
        // A fixture wants another card, and is no repeat of the fixture before.
        const account = { ...(await accountOf(ports, accountId)), lastProof: undefined }
        await proveCard(ports, account, { purpose: 'verify', cardId: paymentMethod })
        await deliverEvents()
        const added = (await cards()).filter(({ sk, card }) => !before.includes(sk) && card)
        if (added.length !== 1) throw new Error(`${added.length} cards were put on file`)
        return String(added[0]?.sk).slice('CARD#'.length)
      }),
    put: (items) => database.putAll(items),
    transact: (writes) => database.transact(writes),
    async defaultKey(accountId) {
      return defaultKeyOf(await live(), await accountOf({ table: database } as unknown as Ports, accountId))
    },
  }
}

const keyOf = ({ pk, sk }: Item) => ({ pk: String(pk), sk: String(sk) })
const nameOf = ({ pk, sk }: Item) => `${pk}\n${sk}`

/** The account's partition, and the items that lead from a name or a customer's id to the account. */
async function itemsOf(table: Table, accountId: string): Promise<Item[]> {
  const own = await table.list(keys.account(accountId), '')
  const account = await accountOf({ table: memoryTable(own) }, accountId)
  const guards = [keys.emailGuard(emailKey(account.email))]
  if (account.customer) guards.push(keys.customerOwner(account.customer.id))
  for (const { paymentId } of own) if (paymentId !== undefined) guards.push(paymentKey(String(paymentId)))
  const found = await Promise.all(guards.map((key) => table.get(key)))
  return [...own, ...found.filter((item) => item !== undefined)]
}

async function accountOf(ports: Pick<Ports, 'table'>, accountId: string): Promise<Account> {
  const account = await readAccount(ports as Ports, accountId)
  if (!account) throw new Error(`there is no account ${accountId}`)
  return account
}

function openBackstage(stack: Stack, live: Ports, table: Table): Backstage {
  let newestText = ''
  const events: string[] = []
  const nowMs = () => live.clock.nowMs()
  if (!stack.stripe) throw new Error('STRIPE_SECRET_KEY is set, but these tests need the double. Unset it.')
  const stripe = stripeHere(nowMs, stack.stripe.state, (id) => events.push(id))
  const ports: Ports = {
    ...live,
    table,
    payments: stripe.payments,
    identity: vaultOf(stack, live.identity),
    mail: {
      appUrl: live.mail.appUrl,
      appName: live.mail.appName,
      async send(email) {
        newestText = email.text
        stack.mail.add(email)
      },
    },
  }
  return {
    ports,
    mailedCode: () => /\b[0-9a-f]{32}\b/.exec(newestText)?.[0] ?? '',
    operator: stripe.operator,
    authenticate: (id) => stripe.authenticate(id, 'succeed'),
    async deliverEvents() {
      for (let id = events.shift(); id !== undefined; id = events.shift()) {
        const event = stripe.state.events[id]
        const body = JSON.stringify(event, null, 2)
        const signature = signatureOf(body, ports.webhookSecrets[0] ?? '', nowMs())
        await receiveWebhook(ports, { body: Buffer.from(body), signature })
        if (event) event.pending_webhooks = 0
      }
    },
  }
}

/** A vault on the double of the user pool, called in this process. */
const vaultOf = ({ cognito }: Stack, identity: Identity): Identity => ({
  ...identity,
  async enroll(accountId, password) {
    cognito.addUser(accountId, password)
  },
  async signIn(accountId, password) {
    const { AccessToken: accessToken, RefreshToken: refreshToken } = await cognito.signIn(accountId, password)
    const { origin_jti: sessionId } = JSON.parse(
      Buffer.from(accessToken.split('.')[1] ?? '', 'base64url').toString(),
    )
    return { accessToken, refreshToken, accountId, sessionId, expiresInSeconds: 900 }
  },
})

/** Where the tests' requests come from. */
const origin = { by: 'anyone', ip: '127.0.0.1' } as const

async function signUp(at: Backstage, person: Person): Promise<SignedInPerson> {
  const ports = { ...at.ports, origin }
  await registerAccount(ports, person)
  await confirmEmail(ports, at.mailedCode())
  return signInPerson(at, person)
}

async function signInPerson({ ports }: Backstage, person: Person): Promise<SignedInPerson> {
  const { accessToken, refreshToken } = await signIn(
    { ...ports, origin },
    { email: person.email, password: person.password },
  )
  const { username: accountId } = JSON.parse(
    Buffer.from(accessToken.split('.')[1] ?? '', 'base64url').toString(),
  )
  return { ...person, accessToken, refreshToken, accountId }
}

async function signUpFor(at: Backstage, accountId: string, signup: Signup): Promise<Account> {
  const { bundle, cardNumber: number, address } = signup
  const card = await at.operator.paymentMethods.create({
    type: 'card',
    card: { number, exp_month: 2, exp_year: 2032 },
  })
  const account = await accountOf(at.ports, accountId)
  const wanted = { kind: 'signup', bundle, cardId: card.id, address } as const
  await buyBundle(at.ports, account, wanted, undefined).catch((error: unknown) =>
    authenticateIfAsked(at, error),
  )
  await at.deliverEvents()
  return account
}

async function authenticateIfAsked(at: Backstage, error: unknown): Promise<void> {
  if (!(error instanceof DomainError && error.code === 'payment_action_required')) throw error
  const secret = String(error.clientSecret)
  at.authenticate(secret.slice(0, secret.indexOf('_secret_')))
}

function defaultKeyOf(ports: Ports, account: Account): string {
  const key = readDefaultKey(ports, account)
  if (key === undefined) throw new Error('the root secret of the account’s default key is not live')
  return key
}
