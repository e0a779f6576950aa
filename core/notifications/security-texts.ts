/** A change of who gets into an account, by the message type of its notice. */
export const securityEvents = [
  'password-changed',
  'password-reset',
  'two-factor-on',
  'two-factor-off',
  'recovery-code-used',
  'passkey-added',
  'passkey-removed',
  'key-created',
  'key-changed',
  'keys-replaced',
  'address-is-changing',
  'address-changed',
  'new-sign-in',
  'deactivated',
  'restored',
  'recovered',
  'recovery-stopped',
  'deletion-begun',
  'deletion-undone',
  'deleted',
  'data-exported',
  'suspended',
  'resumed',
  'signed-out',
  'factors-off',
  'factors-kept',
  'address-requested',
  'address-kept',
  'closed',
  'reopened',
  'data-exported-by-us',
] as const

export type SecurityEvent = (typeof securityEvents)[number]

const CHANGE_PASSWORD = 'If this was not you, please change your password now. That ends every session.'
const RESET_PASSWORD =
  'If this was not you, please reset your password now with the code that we mail you on request. That ends every session.'

/** What a mail and a notice about the change say: its subject, what happened, and what to do if it was not you. */
export const securityTexts: Record<SecurityEvent, { subject: string; happened: string; next: string }> = {
  'password-changed': {
    subject: 'Your password was changed',
    happened: 'The password of your account was changed, and every session has ended.',
    next: RESET_PASSWORD,
  },
  'password-reset': {
    subject: 'Your password was reset',
    happened: 'The password of your account was reset with a mailed code, and every session has ended.',
    next: 'If this was not you, somebody else can read your mail. Please secure your mailbox first, and then reset your password with a new code.',
  },
  'two-factor-on': {
    subject: 'Two-factor authentication is on',
    happened:
      'Two-factor authentication was switched on for your account, and every other session has ended. Signing in now needs a code.',
    next: 'If this was not you, somebody else knows your password. Please contact us at once: without a code of that app you cannot sign in.',
  },
  'two-factor-off': {
    subject: 'Two-factor authentication is off',
    happened:
      'Two-factor authentication was switched off for your account, and every other session has ended. Signing in needs no code any more.',
    next: `${CHANGE_PASSWORD} Then switch two-factor authentication on again.`,
  },
  'recovery-code-used': {
    subject: 'A recovery code was used',
    happened: 'One of the recovery codes of your account was used. It does not work again.',
    next: 'If this was not you, somebody else has your recovery codes. Please change your password now. Then switch two-factor authentication off and on again to get new codes.',
  },
  'passkey-added': {
    subject: 'A passkey was added to your account',
    happened: 'A passkey was added to your account. It signs in without your password and without a code.',
    next: 'If this was not you, please delete the passkey and change your password now. That ends every session.',
  },
  'passkey-removed': {
    subject: 'A passkey was removed from your account',
    happened: 'A passkey was removed from your account. It does not sign in any more.',
    next: CHANGE_PASSWORD,
  },
  'key-created': {
    subject: 'You have a new application key',
    happened: 'An application key of your account was created or replaced.',
    next: 'If this was not you, please delete or replace that key, and change your password now.',
  },
  'key-changed': {
    subject: 'The settings of an application key changed',
    happened:
      'The settings of an application key of your account were changed: what it may use, or from where.',
    next: 'If this was not you, please delete or replace that key, and change your password now.',
  },
  'keys-replaced': {
    subject: 'Your application keys were replaced',
    happened:
      'The default application key of your account was replaced, and every other key was revoked. Programs that use an old key are refused.',
    next: RESET_PASSWORD,
  },
  'address-is-changing': {
    subject: 'Your e-mail address is about to change',
    happened:
      'Someone who is signed in to your account asked to change its e-mail address. Your account keeps this address until the new one is confirmed.',
    next: CHANGE_PASSWORD,
  },
  'address-changed': {
    subject: 'Your e-mail address was changed',
    happened:
      'The e-mail address of your account was changed, and every session has ended. We write to the new address from now on.',
    next: 'If this was not you, please contact us at once.',
  },
  'new-sign-in': {
    subject: 'A new device has signed in',
    happened: 'Someone has signed in to your account from a device or browser that we have not seen before.',
    next: CHANGE_PASSWORD,
  },
  deactivated: {
    subject: 'Your account was deactivated',
    happened: 'Your account was deactivated. It keeps its data and units, but nobody can use it.',
    next: 'You can restore it at any time. If this was not you, please restore it and change your password.',
  },
  restored: {
    subject: 'Your account is active again',
    happened: 'Your account was restored and can be used again.',
    next: RESET_PASSWORD,
  },
  recovered: {
    subject: 'Your account was recovered',
    happened:
      'Your account has a new password. Two-factor authentication was switched off, your passkeys were removed, every session has ended, and your application keys were replaced: please give your services the new default key.',
    next: 'If this was not you, someone can read your mail. Please change the password of your mailbox, then reset your password here.',
  },
  'recovery-stopped': {
    subject: 'The recovery of your account has stopped',
    happened:
      'The recovery of your account was stopped, or nobody finished it in time. Two-factor authentication stays on.',
    next: 'If you did not begin the recovery, someone can read your mail. Please change the password of your mailbox.',
  },
  'deletion-begun': {
    subject: 'Your account will be deleted',
    happened:
      'Your account was deleted at your request and nobody can use it. In 30 days we erase your data for good, with every unit that is left. Auto-renewal is off, and nothing is charged.',
    next: 'If you want to keep the account, please sign in within these 30 days. If this was not you, please sign in now and change your password.',
  },
  'deletion-undone': {
    subject: 'Your account will not be deleted',
    happened:
      'Someone has signed in to your account or reset its password, so it will not be deleted and can be used again. Auto-renewal stays off until you switch it on.',
    next: RESET_PASSWORD,
  },
  deleted: {
    subject: 'Your account is deleted',
    happened:
      'We have erased your account and your personal data. As the law demands, we keep the amounts of your payments, without your name.',
    next: 'You can register again at any time. This is our last mail about this account.',
  },
  'data-exported': {
    subject: 'Your data was exported',
    happened: 'Someone who is signed in to your account has exported the data that we store about you.',
    next: CHANGE_PASSWORD,
  },
  suspended: {
    subject: 'Your account is suspended',
    happened:
      'We have suspended your account. It keeps its data and units, but nobody can sign in, its application keys are refused, and nothing is charged.',
    next: 'Please contact us to find out more, or if you think that this is a mistake.',
  },
  resumed: {
    subject: 'Your account is no longer suspended',
    happened:
      'We have ended the suspension of your account. It is as it was before, with the same data, units and application keys.',
    next: 'Please sign in again to use it.',
  },
  'signed-out': {
    subject: 'Every session of your account has ended',
    happened: 'Our support team has ended every session of your account.',
    next: 'Please sign in again. If you did not ask for this, please contact us to find out more.',
  },
  'factors-off': {
    subject: 'Two-factor authentication was switched off',
    happened:
      'Our support team has switched off the two-factor authentication of your account. Your passkeys were removed, and every session has ended. Signing in needs no code any more.',
    next: 'Please sign in with your password, and switch two-factor authentication on again. If you did not ask for this, please change your password and contact us at once.',
  },
  'factors-kept': {
    subject: 'Two-factor authentication stays on',
    happened:
      'Our support team was asked to switch off the two-factor authentication of your account. This was stopped, so it stays on and your codes work as before.',
    next: 'If you did not ask us to switch it off, somebody else may know your password: please change it.',
  },
  'address-requested': {
    subject: 'We were asked to change your e-mail address',
    happened:
      'Our support team was asked to change the e-mail address of your account, and has checked who asked. Your account keeps this address until the new one is confirmed.',
    next: 'If you did not ask for this, please contact us at once. Changing your password stops it.',
  },
  'address-kept': {
    subject: 'Your e-mail address stays as it is',
    happened:
      'Our support team was asked to change the e-mail address of your account. This was stopped, so your account keeps this address.',
    next: 'If you did not ask us to change it, somebody else may pretend to be you: please change your password.',
  },
  closed: {
    subject: 'Your account was closed',
    happened:
      'We have closed your account and nobody can use it. In 30 days we erase your data for good, with every unit that is left. Auto-renewal is off, and nothing is charged.',
    next: 'If you want to keep the account, please sign in within these 30 days, or contact us.',
  },
  reopened: {
    subject: 'Your account is open again',
    happened:
      'We have opened your account again, so it is not deleted and can be used as before. If auto-renewal was switched off, it stays off until you switch it on.',
    next: 'If you did not ask for this, please contact us.',
  },
  'data-exported-by-us': {
    subject: 'Our support team has exported your data',
    happened: 'Our support team has exported the data that we store about you.',
    next: 'If you did not ask for this, please contact us to find out more.',
  },
}

/** The text of the notice about a change. */
export function securityText(event: SecurityEvent): string {
  const { happened, next } = securityTexts[event]
  return `${happened} ${next}`
}
