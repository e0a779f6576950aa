/**
 * What the audit log knows, with the sentence that a person reads. Those of operators begin with `operator.`; all
 * others are security events of an account, which its owner sees too.
 */
export const actions = {
  'operator.added': 'An account was made an operator, or got another role',
  'operator.removed': 'An account is no operator any more',
} as const satisfies Record<string, string>

export type Action = keyof typeof actions
