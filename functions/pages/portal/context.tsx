import type { Endpoints } from 'bursar/client'
import { type ComponentChildren, createContext } from 'preact'
import { useContext } from 'preact/hooks'
import { type Resource, useResource } from '../kit/resource.tsx'
import type { Config } from './config.ts'
import { client } from './session.ts'

export const ConfigContext = createContext<Config>(undefined as never)
export const useConfig = (): Config => useContext(ConfigContext)

export type User = Endpoints['account.get']['answer']

const AccountContext = createContext<Resource<User>>(undefined as never)

/** The account, read once for all pages; a page that changes it reads it again. */
export function Account({ children }: { children: ComponentChildren }) {
  const account = useResource(() => client.account.get())
  return <AccountContext.Provider value={account}>{children}</AccountContext.Provider>
}

export const useAccount = (): Resource<User> => useContext(AccountContext)
