import { createContext } from 'preact'
import { useContext } from 'preact/hooks'
import { type Answer, type CallName, may } from './api.ts'

export type Me = Answer<'whoami'>

/** The operator who is signed in, under the name that the audit log shows. */
export const MeContext = createContext<Me>(undefined as never)
export const useMe = (): Me => useContext(MeContext)

/** Whether the operator's role may call an endpoint: what it may not is not shown. */
export function useMay(): (name: CallName) => boolean {
  const { role } = useMe()
  return (name) => may(role, name)
}
