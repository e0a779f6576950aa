import { writeFile } from 'node:fs/promises'
import { ops } from '../routes.ts'
import { type Answer, type Commands, command, type Input, type Terminal } from './command.ts'
import { facts, timeText } from './text.ts'

const REASON = { reason: 'why, for the audit log' }
const PROOF = { proof: 'how else you know who asks, such as a passport; then nobody waits 72 hours' }

const standing = ({ id, status, eraseAt }: Answer<typeof ops.suspend>): string =>
  facts({ account: id, status, erased: eraseAt === null ? undefined : `${timeText(eraseAt)} UTC` })

/**
 * Reads every page of an export into one document, whose sections are those of the pages together.
 * @returns what is shown at the end
 */
async function exportTo({ call, progress }: Terminal, input: Input): Promise<string> {
  const sections: Record<string, unknown> = {}
  let pages = 0
  let cursor: string | undefined
  do {
    const { next, ...page } = await call(ops.exportAccount, { ...input, ...(cursor && { cursor }) })
    for (const [name, value] of Object.entries(page)) {
      const before = sections[name]
      sections[name] =
        Array.isArray(before) && Array.isArray(value) ? [...before, ...value] : (before ?? value)
    }
    progress(`${++pages} pages`)
    cursor = next ?? undefined
  } while (cursor !== undefined)
  // Nobody else on the machine may read it.
  await writeFile(String(input.file), `${JSON.stringify(sections, null, 2)}\n`, { mode: 0o600, flag: 'wx' })
  return `The export is in ${input.file}. Its owner is told.`
}

export const accessCommands = {
  suspend: command(ops.suspend, {
    summary: 'suspends an account: its tokens and keys are refused from the next request on',
    takes: ['id'],
    flags: { ...REASON, silent: 'does not tell the owner' },
    asks: ({ id, silent }) =>
      `This suspends the account ${id}: nobody signs in, its keys are refused, nothing is renewed, and its owner is ${silent ? 'not told' : 'told by mail'}.`,
    show: standing,
  }),
  resume: command(ops.resume, {
    summary: 'ends a suspension: the account is again what it was before',
    takes: ['id'],
    flags: REASON,
    asks: ({ id }) =>
      `This ends the suspension of the account ${id}: its keys spend again, and it may renew.`,
    show: standing,
  }),
  'sign-out': command(ops.signOut, {
    summary: 'ends every session of an account',
    takes: ['id'],
    flags: REASON,
    asks: ({ id }) => `This ends every session of the account ${id}, and tells its owner.`,
    show: ({ sessions }) => `${sessions} sessions have ended.`,
  }),
  'reset-2fa': command(ops.resetTwoFactor, {
    summary: 'switches two-factor authentication off after 72 hours, or at once with a proof',
    takes: ['id'],
    flags: { ...REASON, ...PROOF },
    asks: ({ id, proof }) =>
      proof === undefined
        ? `This tells the owner of the account ${id} that two-factor authentication is switched off in 72 hours, unless the owner stops it.`
        : `This switches two-factor authentication of the account ${id} off at once, and tells its owner.`,
    show: ({ state, by, finishesAt }) =>
      state === 'off'
        ? 'Two-factor authentication is off.'
        : `Waiting until ${timeText(finishesAt ?? 0)} UTC.${by === 'owner' ? ' The owner has begun a recovery, and has to finish it.' : ''}`,
  }),
  'reset-2fa stop': command(ops.keepTwoFactor, {
    summary: 'stops what would switch two-factor authentication off, whoever has begun it',
    takes: ['id'],
    flags: REASON,
    show: () => 'Two-factor authentication stays as it is.',
  }),
  'change-email': command(ops.changeEmail, {
    summary: 'changes the address after 72 hours, or sooner with a proof; the new one has to be confirmed',
    takes: ['id', 'email'],
    flags: { ...REASON, ...PROOF },
    asks: ({ id, email, proof }) =>
      proof === undefined
        ? `This tells the old address of the account ${id} for 72 hours, and then mails a code to ${email}.`
        : `This mails a code to ${email} at once, which makes it the address of the account ${id}.`,
    show: ({ state, finishesAt }) =>
      ({
        waiting: `Waiting until ${timeText(finishesAt ?? 0)} UTC. Then a code is mailed to the new address.`,
        confirming: 'A code is mailed to the new address, which has to be confirmed.',
        unchanged: 'The account has this address already.',
      })[state],
  }),
  'change-email stop': command(ops.keepEmail, {
    summary: 'stops a change of the address that waits or is not confirmed yet',
    takes: ['id'],
    flags: REASON,
    show: () => 'The address stays as it is.',
  }),
  resend: command(ops.resendMail, {
    summary: 'sends the mail again that an account waits for, also after a bounce',
    takes: ['id'],
    flags: REASON,
    show: ({ mails, cleared }) =>
      facts({
        mails: mails.join(', ') || 'none: the account waits for no mail',
        undeliverable: cleared ? 'no longer' : undefined,
      }),
  }),
  unlock: command(ops.unlock, {
    summary: 'lifts the limits that keep an owner out: wrong passwords and codes, mails an hour',
    takes: ['id'],
    flags: REASON,
    asks: ({ id }) =>
      `This lets whoever tries to get into the account ${id} try again: passwords, codes and mails count anew.`,
    show: () => 'Unlocked. The password vault’s own lock ends within 15 minutes.',
  }),
  close: command(ops.close, {
    summary: 'closes an account, which is erased after 30 days unless it is opened again',
    takes: ['id'],
    flags: { ...REASON, units: '"forfeit" if units that were paid for are to be lost' },
    asks: ({ id, units }) =>
      `This closes the account ${id}${units === 'forfeit' ? ' with all its units' : ''}. It is erased in 30 days; "reopen" undoes that until then.`,
    show: ({ eraseAt }) => `Closed. It is erased on ${timeText(eraseAt)} UTC.`,
  }),
  reopen: command(ops.reopen, {
    summary: 'makes a closed, deleted or deactivated account active again',
    takes: ['id'],
    flags: REASON,
    asks: ({ id }) => `This makes the account ${id} active again, and tells its owner.`,
    show: () => 'The account is active.',
  }),
  erase: command(ops.erase, {
    summary: 'erases an account at once; nothing brings it back',
    takes: ['id', 'confirm'],
    flags: REASON,
    asks: ({ id }) =>
      `This erases the account ${id} at once, with its units and debts. Nothing brings it back.`,
    show: ({ status }) =>
      status === 'erased' ? 'Erased.' : 'Being erased. The sweep goes on with it within an hour.',
  }),
  export: command(ops.exportAccount, {
    summary: 'writes everything that is stored about an account to a file',
    takes: ['id', 'file'],
    flags: REASON,
    asks: ({ id, file }) =>
      `This writes everything that is stored about the account ${id} to ${file}, and tells its owner.`,
    run: exportTo,
    show: () => '',
  }),
} satisfies Commands
