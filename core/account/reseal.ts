import * as z from 'zod/mini'
import { resealedPassword } from '../credentials/first-password.ts'
import { resealEndpoints } from '../events/endpoints.ts'
import { resealedDefaultKey } from '../keys/default-key.ts'
import { provedMailboxesOf } from '../limits/mailbox.ts'
import type { Deps } from '../ports.ts'
import { carriedTrialMark } from '../quota/trial.ts'
import { eachOf, type Run } from '../table/due.ts'
import { expr, setRemove, unchangedSince } from '../table/expression.ts'
import { accountIdIn, INVITATION_CODE_KEPT_MS, keys } from '../table/keys.ts'
import { ignoreRefusal } from '../table/table.ts'
import { writeAll } from '../table/write-all.ts'
import { DAY_MS, MINUTE_MS } from '../time.ts'
import { type Profile, parseProfile } from './account.ts'
import { EVERY_ACCOUNT } from './listed.ts'

/**
 * While the root secret rotates, this job goes through all accounts, the newest first, and replaces what the profile has of
 * the secret that goes: the sealed default key, the sealed first password, and the MAC of the mailbox with
 * the mark that it has had the trial. Sign-ins do the same with the key. All else that a secret has made ends by itself
 * within `LONGEST_MS`, or does without: keys, recovery codes and counters.
 */

type ResealDeps = Deps<'table' | 'keyring' | 'listing'>

/** Containers of the deployment before may use the other secret for so long. */
const DEPLOYING_MS = 20 * MINUTE_MS

/** Longer than any mailed code or link, or any answer or request id that is kept to recognise a repeat, is good. */
const LONGEST_MS = INVITATION_CODE_KEPT_MS + DAY_MS

const PAGE = 500

const progressSchema = z.object({
  /** The secret in use when the job began. */
  version: z.string(),
  sinceMs: z.number(),
  /** The list that the job is at, and the id of the account that was last. */
  list: z.number(),
  after: z.string(),
  /** How many accounts were sealed again, and of how many nothing can be, because their secret is lost. */
  resealed: z.number(),
  lost: z.number(),
})

/** What is known of a rotation. */
export interface Resealed {
  resealed: number
  lost: number
  /** Accounts that failed in this run; the next one begins before them. */
  failed: number
  /** From when on the other secret may be removed, epoch ms; undefined as long as accounts are left. */
  oldMayGoMs: number | undefined
}

/**
 * Goes on with all accounts where the last run ended. Without a rotation under way it makes no call.
 * @returns undefined without a rotation
 */
export async function resealAccounts(deps: ResealDeps, run: Run): Promise<Resealed | undefined> {
  const [version, ...others] = deps.keyring.versions
  if (others.length === 0) return undefined
  const key = keys.job('reseal')
  const nowMs = deps.clock.nowMs()
  const known = await deps.table.get(key)
  const last = known && z.parse(progressSchema, known)
  const begun = { version, sinceMs: nowMs, list: 0, after: '~', resealed: 0, lost: 0 }
  const progress = last?.version === version ? { ...last } : begun
  if (progress === begun) await deps.table.put({ ...key, ...progress })
  let failed = 0
  if (nowMs >= progress.sinceMs + DEPLOYING_MS) {
    await resealEndpoints(deps)
    while (progress.list < EVERY_ACCOUNT.length && failed === 0 && deps.clock.nowMs() < run.untilMs) {
      failed = await resealPage(deps, run, progress)
      await deps.table.put({ ...key, ...progress })
    }
  }
  const { resealed, lost, list, sinceMs } = progress
  return {
    resealed,
    lost,
    failed,
    oldMayGoMs: list < EVERY_ACCOUNT.length ? undefined : sinceMs + DEPLOYING_MS + LONGEST_MS,
  }
}

/** One page of a list. @returns how many accounts failed; then the page is read again. */
async function resealPage(
  deps: ResealDeps,
  run: Run,
  progress: z.infer<typeof progressSchema>,
): Promise<number> {
  const page = await deps.listing.listed(EVERY_ACCOUNT[progress.list] ?? '', ['0', progress.after], PAGE)
  const fresh = page.filter(({ id }) => id !== progress.after)
  const { done, failed, left } = await eachOf(deps, fresh, run, async (entry) => {
    const item = await deps.table.get(keys.profile(accountIdIn(entry)))
    const outcome = item && (await resealProfile(deps, parseProfile(item)))
    if (outcome === 'lost') progress.lost++
    return outcome === 'resealed'
  })
  progress.resealed += done
  if (failed > 0 || left !== undefined) return failed
  const lastId = fresh.at(-1)?.id
  if (page.length < PAGE || lastId === undefined)
    Object.assign(progress, { list: progress.list + 1, after: '~' })
  else progress.after = lastId
  return 0
}

/** Replaces what a profile has of another secret than the one in use. Whoever changes it meanwhile goes first. */
async function resealProfile(deps: ResealDeps, profile: Profile): Promise<'resealed' | 'lost' | 'same'> {
  const { id, email, emailVerified } = profile
  const key = resealedDefaultKey(deps, profile)
  const password = resealedPassword(deps, profile)
  const [mailbox, ...earlier] = provedMailboxesOf(deps, email)
  const hasMoved = emailVerified && mailbox !== profile.mailbox
  const isLost = key === undefined && !profile.defaultKey.startsWith(deps.keyring.versions[0])
  if (key === undefined && password.length === 0 && !hasMoved) return isLost ? 'lost' : 'same'
  const sets = [
    ...(key === undefined ? [] : [expr`#defaultKey = ${key}`]),
    ...password,
    ...(hasMoved ? [expr`#mailbox = ${mailbox}`] : []),
  ]
  const mark = hasMoved ? await carriedTrialMark(deps, mailbox, earlier) : undefined
  await writeAll(deps, [
    {
      update: keys.profile(id),
      set: setRemove(sets, []),
      if: unchangedSince(profile, [
        'defaultKey',
        'importedPassword',
        'registeredPassword',
        'mailbox',
        'email',
      ]),
    },
    ...(mark ? [mark] : []),
  ]).catch(ignoreRefusal)
  return isLost ? 'lost' : 'resealed'
}
