import * as z from 'zod/mini'

/**
 * What waits for 72 hours, so that the owner can stop it: a recovery that somebody with the mailbox has begun, or what
 * an operator has begun, that second factors are switched off or that the address changes.
 */
const waiting = ['recovery', 'factors', 'address'] as const
export type WaitingChange = (typeof waiting)[number]

/** What a mail about a recovery, or another change that waits, tells. */
export const recoveryNewsSchema = z.object({
  /** Absent for a recovery. */
  what: z.optional(z.enum(waiting)),
  /** `begun` at its beginning, then each day `running`, and `ready` once it can be finished. */
  state: z.enum(['begun', 'running', 'ready']),
  /** Names the recovery, epoch ms. */
  beganAtMs: z.number(),
  /** From when on it can be finished, and when it ends unfinished, epoch ms. */
  finishesAtMs: z.number(),
  endsAtMs: z.number(),
})

export type RecoveryNews = z.infer<typeof recoveryNewsSchema>

/** A time as customers read it, such as 2026-12-01 20:30 UTC. */
export const timeText = (atMs: number): string =>
  `${new Date(atMs).toISOString().slice(0, 16).replace('T', ' ')} UTC`

const SUBJECTS: Record<RecoveryNews['state'], string> = {
  begun: 'Someone has begun to recover your account',
  running: 'Your account is being recovered',
  ready: 'The recovery of your account can be finished now',
}

interface WaitingText {
  subject: string
  happened: string
  next: string
  stop: string
}

/** What a mail and a notice about a change that waits say: its subject, what happened, and what follows. */
export const recoveryText = (news: RecoveryNews): WaitingText => TEXTS[news.what ?? 'recovery'](news)

const TEXTS: Record<WaitingChange, (news: RecoveryNews) => WaitingText> = {
  recovery: ownersRecovery,
  factors: ({ beganAtMs, finishesAtMs }) => ({
    subject: 'Two-factor authentication will be switched off',
    happened: `On ${timeText(beganAtMs)} our support team was asked to switch off the two-factor authentication of your account, because its codes are lost. Nothing has changed yet.`,
    next: `If you asked for this, you need not do anything: we switch it off on ${timeText(finishesAtMs)}, and then you sign in with your password alone. Your passkeys are removed, and every session ends.`,
    stop: 'If you did not ask for this, please stop it now. Signing in with a two-factor code or a passkey stops it too.',
  }),
  address: ({ beganAtMs, finishesAtMs }) => ({
    subject: 'We were asked to change your e-mail address',
    happened: `On ${timeText(beganAtMs)} our support team was asked to change the e-mail address of your account. Nothing has changed yet.`,
    next: `If you asked for this, you need not do anything: on ${timeText(finishesAtMs)} we mail a code to the new address. Your account keeps this address until that code is used.`,
    stop: 'If you did not ask for this, please stop it now. Changing your password stops it too.',
  }),
}

function ownersRecovery({ state, beganAtMs, finishesAtMs, endsAtMs }: RecoveryNews): WaitingText {
  const happened =
    state === 'begun'
      ? 'Someone who can read your mail has begun to recover your account without its two-factor codes. Nothing has changed yet.'
      : `The recovery of your account that began on ${timeText(beganAtMs)} is still open. Nothing has changed yet.`
  const next =
    state === 'ready'
      ? `If this was you, ask for a code and set a new password before ${timeText(endsAtMs)}.`
      : `If this was you, ask for a code from ${timeText(finishesAtMs)} on, and set a new password with it.`
  return {
    subject: SUBJECTS[state],
    happened,
    next: `${next} That switches two-factor authentication off, removes your passkeys, ends every session and replaces your application keys.`,
    stop: 'If this was not you, please stop it now. Signing in with a two-factor code or a passkey stops it too.',
  }
}
