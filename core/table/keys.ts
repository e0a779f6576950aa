/**
 * Every key of the one table, and what stands behind it.
 *
 * | entity            | pk                  | sk              | holds                                                        |
 * | ----------------- | ------------------- | --------------- | ------------------------------------------------------------ |
 * | profile           | ACCOUNT#<id>        | #PROFILE        | the account: names, status, sessions, flags, balance         |
 * | quota             | ACCOUNT#<id>        | #QUOTA          | the hot counter: units left and used                         |
 * | customer          | ACCOUNT#<id>        | #CUSTOMER       | our copy of Stripe's customer                                |
 * | card              | ACCOUNT#<id>        | CARD#<pm_>      | our copy of a card, or that it was there and is gone         |
 * | card verification | ACCOUNT#<id>        | HOLD#<id>       | a $1 hold from its first call until it is released           |
 * | ledger entry      | ACCOUNT#<id>        | LEDGER#<seq>    | one credit or debit, numbered without gaps                   |
 * | application key   | ACCOUNT#<id>        | KEY#<id>        | a further key: name, slot, how it begins and ends            |
 * | notice            | ACCOUNT#<id>        | NOTICE#<id>     | something to tell the user; ids are time-ordered             |
 * | queued mail       | ACCOUNT#<id>        | MAIL#<id>       | a mail that is not yet known to be sent                      |
 * | e-mail guard      | EMAIL#<normalised>  | #GUARD          | whose address it is: makes addresses unique, finds accounts  |
 * | username guard    | USERNAME#<lower>    | #GUARD          | whose name it is                                             |
 * | mailed code       | CODE#<look-up half> | #CODE           | purpose, account, expiry, tries left                         |
 * | mail asked for    | ASK#<purpose>#<e-mail> | #ASK         | that a mail with a code was asked for, by whomever           |
 * | key look-up       | APIKEY#<hash>       | #KEY            | whose default application key it is                          |
 * | customer look-up  | CUSTOMER#<cus_>     | #CUSTOMER       | whose customer it is                                         |
 * | event guard       | EVENT#<id>          | #EVENT          | that an event from outside has done its work                 |
 *
 * `#` sorts before every letter: one Query with `begins_with(sk, '#')` reads profile and quota together.
 * Text from outside stands only behind a prefix in `pk` and never in `sk`, so no input can name another kind.
 *
 * Index `due` (sparse): an item that waits for work carries `due` = `<KIND>#<shard>` and `dueAtMs`.
 */
export interface Key {
  pk: string
  sk: string
}

const ownedBy = (accountId: string) => `ACCOUNT#${accountId}`

/** Prefix of the items that every request for an account reads at once. */
export const CORE_PREFIX = '#'

export const keys = {
  account: ownedBy,
  profile: (accountId: string): Key => ({ pk: ownedBy(accountId), sk: '#PROFILE' }),
  quota: (accountId: string): Key => ({ pk: ownedBy(accountId), sk: '#QUOTA' }),
  customer: (accountId: string): Key => ({ pk: ownedBy(accountId), sk: '#CUSTOMER' }),
  customerOwner: (customerId: string): Key => ({ pk: `CUSTOMER#${customerId}`, sk: '#CUSTOMER' }),
  card: (accountId: string, cardId: string): Key => ({ pk: ownedBy(accountId), sk: `CARD#${cardId}` }),
  hold: (accountId: string, holdId: string): Key => ({ pk: ownedBy(accountId), sk: `HOLD#${holdId}` }),
  ledger: (accountId: string, seq: number): Key => ({
    pk: ownedBy(accountId),
    sk: `LEDGER#${String(seq).padStart(12, '0')}`,
  }),
  key: (accountId: string, keyId: string): Key => ({ pk: ownedBy(accountId), sk: `KEY#${keyId}` }),
  notice: (accountId: string, noticeId: string): Key => ({
    pk: ownedBy(accountId),
    sk: `NOTICE#${noticeId}`,
  }),
  mail: (accountId: string, mailId: string): Key => ({ pk: ownedBy(accountId), sk: `MAIL#${mailId}` }),
  emailGuard: (normalisedEmail: string): Key => ({ pk: `EMAIL#${normalisedEmail}`, sk: '#GUARD' }),
  usernameGuard: (lowerUsername: string): Key => ({ pk: `USERNAME#${lowerUsername}`, sk: '#GUARD' }),
  code: (lookup: string): Key => ({ pk: `CODE#${lookup}`, sk: '#CODE' }),
  ask: (purpose: string, normalisedEmail: string): Key => ({
    pk: `ASK#${purpose}#${normalisedEmail}`,
    sk: '#ASK',
  }),
  event: (eventId: string): Key => ({ pk: `EVENT#${eventId}`, sk: '#EVENT' }),
  defaultKey: (hash: string): Key => ({ pk: `APIKEY#${hash}`, sk: '#KEY' }),
}

/** What an item can wait for. Each kind has its own job. */
export type DueKind = 'ASK' | 'CARD' | 'HOLD' | 'MAIL' | 'PENDING'

/** Shards per kind: one partition of the index takes 1,000 writes a second, and a job reads them all. */
export const DUE_SHARDS = 4

/** The index attributes of an item that is due at `atMs`; the hex digits of an id, such as its account's, spread it. */
export function dueAt(kind: DueKind, hexId: string, atMs: number): { due: string; dueAtMs: number } {
  const shard = Number.parseInt(hexId.slice(-4), 16) % DUE_SHARDS
  return { due: `${kind}#${shard}`, dueAtMs: atMs }
}

/** The index partitions of a kind. */
export const dueShards = (kind: DueKind): string[] =>
  Array.from({ length: DUE_SHARDS }, (_, shard) => `${kind}#${shard}`)
