// SPDX-License-Identifier: Apache-2.0
import { hasPhone } from "./phone.ts";

/** Ways to reach somebody outside. */
export const CONTACT_KINDS = ["phone", "wechat", "qq", "handle", "email", "invite"] as const;
export type ContactKind = (typeof CONTACT_KINDS)[number];

/** Punctuation, blanks and pictures that are put between the parts of a word. */
const NO_LETTER = "[^0-9a-z\\u3007\\u3400-\\u9fff]";
const GAP = `${NO_LETTER}{0,4}`;
/** Small words between a verb and its object. */
const SMALL =
  "(?:个|下|一下|一个|我|你|您|的|了|没|没有|到|去|好友|你的|我的| me| my| your| you| us| on| via| is| in| to| a| at){0,3}";
const COPULA = `(?:号码|号|是|也是|为|id|账号|同号|同|的|我|is|${NO_LETTER}){0,6}`;

const WECHAT = [
  `微${GAP}[信心芯辛欣]`,
  `[薇葳徽溦]${GAP}[信心芯]`,
  `[威维]${GAP}[心芯]`,
  `(?<![a-z0-9])[vw]${GAP}[信心芯]`,
  `[微薇威葳]${GAP}x(?:in)?(?![a-z])`,
  `(?<![a-z0-9])[vw]${GAP}x(?:in)?(?![a-z])`,
  `(?<![a-z0-9])wei${GAP}(?:x|xin|信)(?![a-z])`,
  `we${GAP}chat`,
  "绿色?泡泡",
].join("|");
/** They mean something else, too. */
const WECHAT_PERHAPS = "威信|卫星|维信|微星|围信|喂信|[薇葳微]|(?<![a-z0-9])v(?![a-z0-9])|(?<![a-z])wei(?![a-z])";
/** WeChat is a purse, too, and much else. */
const NO_CHAT =
  "(?!(?:里|上|的|里的| ?)?(?:支付|付|转|红包|钱包|收款|零钱|小程序|公众|朋友圈|登录|登陆|账单|余额|到账|提现|官方|客服|读书|视频号|运动|表情|分付|绑| ?pay| ?wallet))";
const HANDLE_WITH_DIGIT = "[a-z](?=[a-z0-9_-]*[0-9_-])[a-z0-9_-]{4,19}";
const ANY_HANDLE = "[a-z][a-z0-9_-]{5,19}(?![a-z])";
const NUMBER = "\\d(?:[ -]?\\d){4,11}";

const APPS =
  "telegram|(?<![a-z])tg(?![a-z])|电报|纸飞机|what'?s ?app|(?<![a-z])line(?= ?(?:id(?![a-z])|号|:|聊|$))|skype|snapchat|(?<![a-z])ig(?![a-z])|instagram|(?<![a-z])ins(?![a-z风])|kakao(?:talk)?|discord|抖音|小红书|快手|陌陌|探探|(?<![a-z])fb(?![a-z])|messenger";

const PATTERNS: Readonly<Record<Exclude<ContactKind, "phone">, readonly RegExp[]>> = {
  wechat: [
    of(`(?:加|\\+|扣)${SMALL}${GAP}(?:${WECHAT}|${WECHAT_PERHAPS})${NO_CHAT}`),
    of(
      `(?:留|换|发|给|要|有|上|找|走|聊|约|扫|联系|私|add|my|text|msg|message|dm|find|contact|reach|chat)${SMALL}${GAP}(?:${WECHAT})${NO_CHAT}`,
    ),
    of(
      `(?:${WECHAT})${GAP}(?:号|id(?![a-z])|名字|账号|聊|联系|加|同号|同步|私聊|找我|详|谈|说|上聊|上说|上谈|上联系|我$)`,
    ),
    of(`(?:${WECHAT})${COPULA}(?:${HANDLE_WITH_DIGIT}|${NUMBER})`),
    of(
      `(?:${WECHAT}|${WECHAT_PERHAPS})${GAP}(?:号|:|=|id|是)${COPULA}(?:${ANY_HANDLE}|${HANDLE_WITH_DIGIT}|${NUMBER})`,
    ),
  ],
  qq: [
    of(
      `(?:加|\\+|留|换|有|给|发|私|add|my)${SMALL}${GAP}(?:q${GAP}q|扣扣|企鹅号|蔻蔻|叩叩|抠抠)${GAP}(?!音乐|飞车|糖|会员|炫舞|农场|游戏|币|空间|秀|浏览|绿钻|黄钻|三国|堂)`,
    ),
    of(`(?:加|\\+)${SMALL}${GAP}q(?![a-z币])`),
    of(`(?:q${GAP}q|扣扣|企鹅|蔻蔻|叩叩|抠抠|(?<![a-z])q(?=号|:|裙|群))${COPULA}(?:群|裙)?${GAP}${NUMBER}`),
    of(`q${GAP}q${GAP}(?:号|群|裙|联系)|q群|扣扣(?:号|群|裙)`),
  ],
  handle: [
    of(`(?:加|\\+|my|add|留|找|私|text|dm|msg|message|contact|find me|reach me|chat)${SMALL}${GAP}(?:${APPS})`),
    of(`(?:${APPS}) ?(?:号|id(?![a-z])|账号|handle|:|@|=)${COPULA}@?[a-z0-9_.]{3,}`),
    of(`上(?:电报|飞机|纸飞机)|(?:电报|飞机)${GAP}(?:号|:|@)${GAP}@?[a-z0-9_]{4,}|(?:t|wa)\\.me/`),
  ],
  email: [
    of(
      "[a-z0-9][a-z0-9._%+-]{1,40} {0,2}(?:@|\\(at\\)|\\[at\\]|\\{at\\}|艾特|圈a) {0,2}[a-z0-9-]{2,40} {0,2}(?:\\.|点|\\(dot\\)|\\[dot\\]| dot ) {0,2}(?:com|cn|net|org|qq|me|io|co|edu|hk|tw|top|vip|cc)(?![a-z])",
    ),
    of("[a-z0-9][a-z0-9._%+-]{1,40} (?:at|艾特) [a-z0-9-]{2,40} (?:dot|点) ?(?:com|cn|net|org)(?![a-z])"),
    of("\\d{5,11} ?(?:@|艾特) ?(?:q{1,2}|qq邮箱|163|126|gmail|foxmail|outlook|hotmail)(?![a-z])"),
  ],
  invite: [
    of(`(?:留|给|发|换|要|有)${SMALL}(?:联系方式|电话|手机号|号码)(?!卡|手表)`),
    of(
      "(?<!不能|不可|不可以|不要|不准|不许|不|别|禁止|勿|拒绝)(?:私下|线下|平台外|站外|不走平台|绕过平台|绕开平台)(?:交易|转账|付款|成交|聊|联系|谈)",
    ),
    of("换个(?:地方|平台|软件)(?:聊|谈|说)"),
    of("(?:outside|off) (?:the |this )?(?:app|platform|site)"),
  ],
};

function of(source: string): RegExp {
  return new RegExp(source);
}

/** Without one of these, no pattern can be met: most texts are let go after one look. */
const HINTS: Readonly<Record<Exclude<ContactKind, "phone">, RegExp>> = {
  wechat: /[微薇葳徽溦威维卫围喂vw绿]/,
  qq: /[q扣企蔻叩抠]/,
  handle: /[电飞抖红手陌探]|telegram|tg|app|line|skype|chat|ig|ins|kakao|discord|fb|messenger|\.me/,
  email: /[@艾圈]|\bat\b/,
  invite: /[联电手号私线站平绕换]|\b(?:outside|off)\b/,
};

/** Which of the wanted ways to reach somebody a normalised text tells, the first that is found; undefined = none. */
export function contactIn(text: string, wanted: readonly ContactKind[]): ContactKind | undefined {
  return wanted.find((kind) => {
    if (kind === "phone") return hasPhone(text);
    return HINTS[kind].test(text) && PATTERNS[kind].some((pattern) => pattern.test(text));
  });
}
