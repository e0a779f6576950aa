import type { Key } from '../table/keys.ts'

/** The partition of the operators by account and of the names of operators. */
export const OPERATORS = 'OPERATORS'

/** The item that keeps a name in the audit log for one operator: an account, or the admin keys of the name. */
export const operatorNameKey = (name: string): Key => ({ pk: OPERATORS, sk: `NAME#${name}` })
