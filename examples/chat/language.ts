// SPDX-License-Identifier: Apache-2.0

/** Languages of the page. */
export type Language = "en" | "zh";

const EN = {
  title: "ImCluster chat",
  lead: "Two people, two real connections. Break one: nothing is lost, nothing comes twice.",
  switchLanguage: "中文",
  pane: "{name}",
  messages: "Messages of {name}",
  write: "Message to {peer}",
  send: "Send",
  burst: "Send 50",
  kill: "Kill socket",
  goOffline: "Go offline",
  goOnline: "Go online",
  takeOver: "Connect here",
  entry: "Entry",
  latency: "Ack p50 / p99",
  reconnects: "Reconnects",
  waiting: "Waiting",
  none: "–",
  milliseconds: "{ms} ms",
  idle: "Idle",
  connecting: "Connecting",
  open: "Open",
  reconnecting: "Reconnecting",
  closed: "Closed",
  sending: "sending",
  stored: "stored",
  delivered: "delivered",
  read: "read",
  failed: "failed: {reason}",
  noticeOpen: "Connected to {entry}",
  noticeMoved: "Moved from {from} to {entry} without a break",
  noticeLost: "Connection lost: {reason}",
  noticeGoaway: "The entry asks to move: in {seconds} s",
  noticeKicked: "Signed in elsewhere",
  noticeKickedBy: "Signed in elsewhere: {device}",
  noticeClosed: "Closed by the server: {reason}",
  noticeReset: "The inbox begins anew",
  noticeOffline: "Offline: messages wait here and in the inbox",
  noticeError: "{reason}",
  noticeChangedMeanwhile: "It was changed on another device meanwhile",
  noticePressed: "The shop answers {status}: {answer}",
  conversations: "Conversations of {name}",
  unread: "{count} unread",
  typing: "{users} is typing …",
  typingShort: "typing …",
  nobodyTypes: "",
  edit: "Edit",
  edited: "edited",
  editing: "Editing",
  cancel: "Cancel",
  recall: "Recall",
  recalled: "Message recalled",
  otherContent: "Content {type}",
  cardItem: "Item",
  cardOrder: "Order",
  cardOffer: "Offer",
  sendCard: "Ask about the item",
  groupNew: "New group",
  groupName: "Name of the group",
  groupMembers: "Members, by user id",
  groupMake: "Create",
  groupLeave: "Leave group",
  groupChanged: "Group changed",
  groupCreated: "{actor} made the group {name} with {users}",
  groupInvited: "{actor} invited {users}",
  groupRemoved: "{actor} removed {users}",
  groupLeft: "{actor} left",
  groupRole: "{actor} made {users} {role}",
  groupRenamed: "{actor} named the group {name}",
  legend:
    "sending: on its way · stored: committed in PostgreSQL · delivered: the other side has it · read: it was looked at there",
  helpTitle: "Two tokens are missing",
  helpWhy:
    "This page logs in two users with the tokens in its address, after the #. They never leave the browser except to log in.",
  helpUp: "With the local cluster: make up prints the whole address.",
  helpDev: "With local processes: make dev prints it too.",
  helpOwn:
    "With your own: add #alice=TOKEN&bob=TOKEN to this address. The names are user ids; each token's sub must match.",
} as const;

/** A text of the page. */
export type TextKey = keyof typeof EN;

const ZH: Readonly<Record<TextKey, string>> = {
  title: "ImCluster 聊天",
  lead: "两个人，两条真实连接。断开任意一条：消息不丢、不重。",
  switchLanguage: "English",
  pane: "{name}",
  messages: "{name} 的消息",
  write: "发给 {peer} 的消息",
  send: "发送",
  burst: "连发 50 条",
  kill: "断开连接",
  goOffline: "离线",
  goOnline: "上线",
  takeOver: "在此连接",
  entry: "接入点",
  latency: "确认延迟 p50 / p99",
  reconnects: "重连次数",
  waiting: "等待确认",
  none: "–",
  milliseconds: "{ms} 毫秒",
  idle: "未启动",
  connecting: "连接中",
  open: "已连接",
  reconnecting: "重连中",
  closed: "已关闭",
  sending: "发送中",
  stored: "已存储",
  delivered: "已送达",
  read: "已读",
  failed: "失败：{reason}",
  noticeOpen: "已连接到 {entry}",
  noticeMoved: "已从 {from} 平滑迁移到 {entry}",
  noticeLost: "连接中断：{reason}",
  noticeGoaway: "接入点要求迁移：{seconds} 秒后",
  noticeKicked: "已在其他地方登录",
  noticeKickedBy: "已在其他地方登录：{device}",
  noticeClosed: "被服务器关闭：{reason}",
  noticeReset: "收件箱重新开始",
  noticeOffline: "离线：消息在此处和收件箱中等待",
  noticeError: "{reason}",
  noticeChangedMeanwhile: "该消息已在其他设备上修改",
  noticePressed: "商家回复 {status}：{answer}",
  conversations: "{name} 的会话",
  unread: "{count} 条未读",
  typing: "{users} 正在输入…",
  typingShort: "正在输入…",
  nobodyTypes: "",
  edit: "编辑",
  edited: "已编辑",
  editing: "正在编辑",
  cancel: "取消",
  recall: "撤回",
  recalled: "消息已撤回",
  otherContent: "内容 {type}",
  cardItem: "商品",
  cardOrder: "订单",
  cardOffer: "报价",
  sendCard: "询问商品",
  groupNew: "新建群聊",
  groupName: "群名称",
  groupMembers: "成员（用户 id）",
  groupMake: "创建",
  groupLeave: "退出群聊",
  groupChanged: "群聊有变动",
  groupCreated: "{actor} 创建了群聊 {name}，成员：{users}",
  groupInvited: "{actor} 邀请了 {users}",
  groupRemoved: "{actor} 移出了 {users}",
  groupLeft: "{actor} 退出了群聊",
  groupRole: "{actor} 将 {users} 设为 {role}",
  groupRenamed: "{actor} 将群聊改名为 {name}",
  legend: "发送中：在途 · 已存储：已提交到 PostgreSQL · 已送达：对方已收到 · 已读：对方已查看",
  helpTitle: "缺少两个令牌",
  helpWhy: "本页用地址中 # 之后的令牌登录两个用户。令牌只用于登录，不会以其他方式离开浏览器。",
  helpUp: "本地集群：make up 会打印完整地址。",
  helpDev: "本地进程：make dev 也会打印。",
  helpOwn: "自己的环境：在本地址后加上 #alice=TOKEN&bob=TOKEN。名字是用户 id，须与令牌的 sub 一致。",
};

const TEXTS: Readonly<Record<Language, Readonly<Record<TextKey, string>>>> = { en: EN, zh: ZH };

/** What fills the braces of a text. */
export type TextArgs = Readonly<Record<string, string>>;

/** A text in a language, its braces filled. */
export function textOf(language: Language, key: TextKey, args: TextArgs = {}): string {
  return TEXTS[language][key].replace(/\{(\w+)\}/g, (whole, name: string) => args[name] ?? whole);
}

/** Chinese for whoever prefers it to English, English for all others. */
export function preferredLanguage(languages: readonly string[]): Language {
  return languages
    .find((tag) => /^(zh|en)\b/i.test(tag))
    ?.toLowerCase()
    .startsWith("zh")
    ? "zh"
    : "en";
}
